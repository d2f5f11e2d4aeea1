// Which children do not do as they are told, and what becomes of them?
//
// One that was told to end (CLIENT KILL: Proc::end_requested) ends in order as soon as it looks,
// and one that hangs or is stopped never looks: it is killed when its time is up, and repaired like
// any dead one. An auxiliary process that was stopped (SIGSTOP) is continued, since nobody else
// would; one that is stopped again soon is killed, and another takes its place.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>

#include "base/function_ref.h"
#include "postmaster/slot_table.h"

namespace warren {

// From being told to end to SIGKILL: long beside any command on a few keys, short beside the
// patience of whoever asked. Killing costs nobody else anything.
inline constexpr int64_t kEndGraceMs = 5000;

class EndRequests {
 public:
  // Looks who of `children` (those without a pid are nobody) has been told to end; `too_late` is
  // called once for each whose time is up. Returns how long until the next one's is.
  std::optional<int64_t> Look(std::span<const Child> children, int64_t now_ms,
                              FunctionRef<void(const Child&)> too_late);

 private:
  struct Told {
    uint32_t generation;
    int64_t deadline_ms;
    bool killed = false;
  };
  std::unordered_map<pid_t, Told> told_;
};

class StopRecord {
 public:
  static constexpr int64_t kSoonMs = 5000;

  // After a process has been stopped: shall it be continued, and not killed?
  bool MayContinue(pid_t pid, int64_t now_ms);
  void Forget(pid_t pid) { continued_ms_.erase(pid); }

 private:
  std::unordered_map<pid_t, int64_t> continued_ms_;
};

}  // namespace warren
