// What do the processes besides the backends do, and when are they started again?
//
// The kinds are the rows of shmem/process_kind_list.def; the table in aux_processes.cpp gives each
// its main function.
#pragma once

#include <cstdint>

#include "shmem/proc.h"

namespace warren {

using AuxiliaryMain = int (*)();  // the result is the exit code

// Of a kind that is not kBackend.
AuxiliaryMain GetAuxiliaryMain(ProcessKind kind);

// Exit codes of a process that was told to end (SIGTERM).
inline constexpr int kStoreNotClosed = 1;  // closing it was tried, and the log says why it failed
inline constexpr int kEndedEarly = 3;      // somebody else's SIGTERM while there was no shutdown
// Of the process monitor: what a dead process has left can't be made whole in place.
inline constexpr int kCannotRepair = 4;

// The start of each round of an auxiliary process: log and settings are as they shall be.
void BeginAuxiliaryRound();

// A shutdown has ended all sessions. Before that, closing the store would mark as clean what a
// backend still changes; somebody else's SIGTERM just ends the process, and the postmaster starts
// another.
bool IsClosingTime();

// How long to wait before a process that ended is started again: not at all, unless it dies soon
// after each start.
class RestartBackoff {
 public:
  static constexpr int64_t kSoonMs = 10'000;  // a life shorter than this counts as a failed start
  static constexpr int64_t kFirstDelayMs = 100;
  static constexpr int64_t kMaxDelayMs = 10'000;

  explicit RestartBackoff(int64_t max_delay_ms = kMaxDelayMs) : max_delay_ms_(max_delay_ms) {}
  int64_t NextDelayMs(int64_t lived_ms);
  int64_t max_delay_ms() const { return max_delay_ms_; }

 private:
  int64_t max_delay_ms_;
  int64_t delay_ms_ = 0;
};

}  // namespace warren
