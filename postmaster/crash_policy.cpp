#include "postmaster/crash_policy.h"

#include <algorithm>

#include "lwlock/repair.h"
#include "shmem/segment.h"
#include "storage/mini_transaction.h"

namespace warren {
namespace {

bool HoldsLocks(const LockProc& locks) {
  return locks.pending_lock.load() != nullptr ||
         std::any_of(locks.held.begin(), locks.held.end(),
                     [](const std::atomic<HeldLock>& held) { return held.load() != 0; });
}

bool ChangesPages(SlotIndex slot) { return MiniTransactionAreaOf(slot).armed.load() != 0; }

}  // namespace

CrashVerdict JudgeDeath(const DeathFacts& facts) {
  const bool unfinished = facts.holds_locks || facts.changes_pages;
  if (unfinished || facts.death == DeathClass::kWild) return CrashVerdict::kStopServer;
  return facts.death == DeathClass::kOrderly && facts.ended ? CrashVerdict::kFreeSlot
                                                            : CrashVerdict::kRepair;
}

DeathFacts ExamineDead(SlotIndex slot, int wait_status) {
  const Proc& proc = Segment::Procs()[slot];
  return {.death = ClassifyDeath(wait_status),
          .ended = proc.life.load() == ProcLife::kExited && proc.commit_lsn.load() == 0,
          .holds_locks = HoldsLocks(proc.locks),
          .changes_pages = ChangesPages(slot)};
}

std::string DescribeHoldings(SlotIndex slot) {
  std::string text = DescribeLocks(Segment::Procs()[slot].locks);
  text = text.empty() ? "holding nothing" : "holding " + text;
  if (ChangesPages(slot)) text += "; in the middle of changing pages";
  return text;
}

bool RepairBreaker::MayTryAgain(PackedOwner dead) {
  if (dead == 0) return true;
  const bool again = dead == failed_once_;
  failed_once_ = dead;
  return !again;
}

}  // namespace warren
