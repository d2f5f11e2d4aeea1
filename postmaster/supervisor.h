// How are children made, found dead, and their slots given back?
//
// `waitpid` is the failure detector: a reaped process has left its memory and its system calls, so
// no store of it can still come. Whatever is decided about a slot is decided after that. The slot
// of a process that died abnormally goes to the process monitor (process_monitor.h), which frees it
// in the segment and signals; it is free here when that has been seen.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "postmaster/crash_policy.h"
#include "postmaster/private_descriptors.h"
#include "postmaster/slot_table.h"
#include "postmaster/unresponsive.h"

namespace warren {

struct ChildEnd {
  Child child;
  int wait_status;
  CrashVerdict verdict;
  int64_t lived_ms;
};

class Supervisor {
 public:
  // `postmaster_only` is closed in each child.
  explicit Supervisor(std::vector<DescriptorRange> postmaster_only);

  // Forks a process of `kind` that runs `body`. kBusy: no slot is free (for a backend: but those
  // that are kept for auxiliary processes); kIo: no process could be made.
  Status Start(ProcessKind kind, FunctionRef<int()> body);

  // Takes the ends of all children that have ended; `on_end` is called once for each, when its slot
  // has been freed already, or given to the process monitor. Never waits.
  void Reap(const std::function<void(const ChildEnd&)>& on_end);

  // Takes back the slots that the process monitor has freed. Were there any?
  bool TakeBackRepaired();
  // Slots of dead processes that it has not freed yet.
  size_t DeadCount() const { return slots_.DeadCount(); }
  // No slot is free for a backend, but some of the dead ones' will be in a moment.
  bool MustWaitForSlot() const;

  // Kills those that were told to end and have not in time; how many milliseconds until the next
  // one's time is up.
  std::optional<int64_t> KillLate();

  void Signal(ProcessKind kind, int signal) const;
  void SignalAll(int signal) const;

  // Set when all processes are being stopped at once: their deaths are no news then.
  void set_stopping(bool stopping) { stopping_ = stopping; }

  // Every child has been reaped and the segment is as new: all slots are free again.
  void StartOver();

  size_t ChildCount() const { return slots_.ChildCount(); }
  size_t ChildCount(ProcessKind kind) const { return slots_.ChildCount(kind); }

 private:
  std::optional<ChildEnd> NextEnd();
  CrashVerdict Judge(const DeathFacts& facts);
  ChildEnd TakeEnd(const Child& child, int wait_status);
  void GiveUpSlot(const ChildEnd& end);
  void NoteStopped(const Child& child, int wait_status);

  std::vector<DescriptorRange> postmaster_only_;
  SlotTable slots_;
  DeathBreaker death_breaker_;
  EndRequests end_requests_;
  StopRecord stops_;
  bool stopping_ = false;
};

}  // namespace warren
