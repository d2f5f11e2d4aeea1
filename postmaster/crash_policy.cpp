#include "postmaster/crash_policy.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>

#include "lwlock/repair.h"
#include "postmaster/death_report.h"
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

CrashVerdict JudgeDeath(const DeathFacts& facts, CrashContainment containment) {
  const bool in_order = facts.death == DeathClass::kOrderly && facts.ended && !facts.unfinished();
  if (in_order) return CrashVerdict::kFreeSlot;
  if (containment == CrashContainment::kStrict) return CrashVerdict::kStopServer;
  const bool wild = facts.death == DeathClass::kWild;
  return wild && containment != CrashContainment::kTrusting ? CrashVerdict::kStopServer
                                                            : CrashVerdict::kRepair;
}

bool DeclaredClean(SlotIndex slot, int wait_status) {
  const Proc& proc = Segment::Procs()[slot];
  return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGABRT &&
         proc.declared_clean.load() == proc.generation.load();
}

DeathFacts ExamineDead(SlotIndex slot, int wait_status) {
  const Proc& proc = Segment::Procs()[slot];
  const bool clean = DeclaredClean(slot, wait_status);
  return {.death = clean ? DeathClass::kBounded : ClassifyDeath(wait_status),
          .ended = proc.life.load() == ProcLife::kExited && proc.commit_lsn.load() == 0,
          .holds_locks = HoldsLocks(proc.locks),
          .changes_pages = ChangesPages(slot)};
}

std::string DescribeHoldings(SlotIndex slot) {
  if (!LocksMakeSense(slot)) return "its slot makes no sense";
  std::string text = DescribeLocks(Segment::Procs()[slot].locks);
  text = text.empty() ? "holding nothing" : "holding " + text;
  if (ChangesPages(slot)) text += "; in the middle of changing pages";
  return text;
}

bool DeathBreaker::MayGoOn(int64_t now_ms, uint32_t most, int64_t window_ms) {
  deaths_ms_.push_back(now_ms);
  while (now_ms - deaths_ms_.front() > window_ms) deaths_ms_.pop_front();
  return most == 0 || deaths_ms_.size() <= most;
}

bool RepairBreaker::MayTryAgain(PackedOwner dead) {
  if (dead == 0) return true;
  const bool again = dead == failed_once_;
  failed_once_ = dead;
  return !again;
}

}  // namespace warren
