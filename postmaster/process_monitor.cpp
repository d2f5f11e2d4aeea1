#include "postmaster/process_monitor.h"

#include <csignal>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/ordered_store.h"
#include "postmaster/aux_processes.h"
#include "shmem/latch.h"
#include "shmem/lock_table.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/commit.h"
#include "storage/wal.h"

namespace warren {
namespace {

constexpr int64_t kIdleMs = 60'000;  // it is woken when there is work
constexpr int64_t kRetryMs = 200;    // after a step that failed: most likely the disk is full

bool IsDead(const Proc& proc) {
  return proc.life.load(std::memory_order_acquire) == ProcLife::kDead;
}

// Where the postmaster takes the slot back.
void TellPostmaster() { kill(Segment::Server().postmaster_pid.load(), SIGURG); }

// -- Phase 1: noexcept, acquires no lock, waits for nothing.

void ReleaseWaiters() noexcept {
  // It may have been the one that was woken to flush the log for the others.
  Wal::OnProcessDeath();
}

// -- Phase 2.

// In this order: while some of the commit's changes are not made yet, its locks keep everybody from
// seeing the others.
Status ClearAway(Owner dead) {
  RETURN_IF_ERROR(FinishCommit(dead));
  LockTable::DropOwner(dead);
  return {};
}

class ProcessMonitor {
 public:
  // Returns how long to sleep. Ends early when woken: the newly dead one's phase 1 comes first.
  int64_t Round() {
    const ProcArray procs = Segment::Procs();
    if (!AnyDead()) return kIdleMs;
    ReleaseWaiters();
    bool failed = false, freed = false;
    for (SlotIndex slot = 0; slot < procs.size() && !Latch::Pending(); ++slot) {
      if (!IsDead(procs[slot])) continue;
      (Repair(slot) ? freed : failed) = true;
    }
    if (freed) TellPostmaster();
    return failed ? kRetryMs : 0;
  }

 private:
  static bool AnyDead() {
    for (const Proc& proc : Segment::Procs().slots()) {
      if (IsDead(proc)) return true;
    }
    return false;
  }

  // False: it has to be tried again.
  bool Repair(SlotIndex slot) {
    Proc& proc = Segment::Procs()[slot];
    const Owner dead{slot, proc.generation.load()};
    std::atomic<PackedOwner>& under_repair = Segment::Server().under_repair;
    StoreBefore(under_repair, Pack(dead));
    const Status status = ClearAway(dead);
    if (status.ok()) FreeSlot(proc);
    StoreAfter(under_repair, PackedOwner{0});
    ReportFailure(slot, status);
    return status.ok();
  }

  static void FreeSlot(Proc& proc) {
    Stats::Add(StatId::kRepairs);
    proc.pid.store(0);
    // The last store of the repair: from here on the slot is the postmaster's to give out.
    StoreAfter(proc.life, ProcLife::kFree);
  }

  // A full disk would fail every round: it is logged when it begins and when it has ended.
  void ReportFailure(SlotIndex slot, const Status& status) {
    const std::string message = status.ok() ? std::string() : status.error().message;
    std::string& failure = failures_[slot];
    if (!message.empty() && message != failure) {
      log::Error("slot {} cannot be cleared yet, what its process had locked stays locked: {}",
                 slot, message);
    }
    if (message.empty() && !failure.empty()) log::Notice("slot {} is cleared", slot);
    failure = message;
  }

  // By slot: why its last repair failed.
  std::vector<std::string> failures_ = std::vector<std::string>(Segment::Procs().size());
};

}  // namespace

int ProcessMonitorMain() {
  ProcessMonitor monitor;
  while (!Latch::TerminateRequested()) {
    BeginAuxiliaryRound();
    const int64_t sleep_ms = monitor.Round();
    if (sleep_ms > 0) Latch::Wait(sleep_ms);
  }
  return IsClosingTime() ? 0 : kEndedEarly;
}

}  // namespace warren
