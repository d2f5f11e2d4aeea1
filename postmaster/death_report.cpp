#include "postmaster/death_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/clock.h"
#include "lwlock/repair.h"
#include "postmaster/wait_status.h"
#include "shmem/segment.h"
#include "storage/mini_transaction.h"

namespace warren {
namespace {

// Calls `visit(lock)` for each lock that the process of the slot has or is about. With a pointer:
// what a wild process has stored there may not be one, and the compiler may read what a reference
// is bound to.
template <typename Visit>
void ForEachLock(const LockProc& locks, Visit visit) {
  for (const auto& entry : locks.held) {
    if (const HeldLock held = entry.load(); held != 0) visit(LockOf(held));
  }
  if (LWLock* const pending = locks.pending_lock.load(); pending != nullptr) visit(pending);
}

bool IsLock(const LWLock* lock) {
  return Segment::Contains(lock) && reinterpret_cast<uintptr_t>(lock) % kCacheLineBytes == 0 &&
         static_cast<size_t>(lock->tranche) < kTrancheCount;
}

size_t CountLocks(const LockProc& locks) {
  size_t count = 0;
  ForEachLock(locks, [&](const LWLock*) { ++count; });
  return count;
}

// What a wild process may have stored has no name.
std::string_view KindName(ProcessKind kind) {
  return static_cast<size_t>(kind) < ProcessKinds().size() ? GetProcessKind(kind).name : "unknown";
}

// All that is not known yet, or will not be.
Incident Begun(int64_t reaped_ns) {
  Incident incident;
  incident.time = WallClockUs() - (MonotonicNs() - reaped_ns) / 1000;
  incident.reaped_us = reaped_ns / 1000;
  incident.found_after_us = incident.lwlocks_free_us = -1;
  incident.locks_free_us = incident.cleared_us = incident.running_us = -1;
  incident.change.Set("none");
  incident.commit.Set("none");
  incident.outcome.Set(kUnderRepair);
  return incident;
}

// What becomes of its transaction: finished if its commit record is in the log, taken for nothing
// if only chunks of it are.
std::string_view CommitOf(const Proc& proc) {
  if (proc.commit_lsn.load() == 0) return "none";
  const Lsn end = proc.commit_end.load();
  return end != 0 && end <= Segment::Wal().insert.load() ? "finished" : "none";
}

// What the repair is going to do with its change of pages (storage/death_repair.cpp).
std::string_view ChangeOf(SlotIndex slot) {
  const MiniTransactionArea& area = MiniTransactionAreaOf(slot);
  if (area.armed.load() == 0) return "none";
  const Lsn end = area.end.load();
  return end != 0 && end <= Segment::Wal().insert.load() ? "finished" : "taken back";
}

IncidentWaiter MakeWaiter(SlotIndex slot, std::string_view lock) {
  const Proc& proc = Segment::Procs()[slot];
  IncidentWaiter waiter{.pid = proc.pid.load(),
                        .slot = slot,
                        .client_id = static_cast<int64_t>(proc.client.client_id.load()),
                        .waited_us = 0,
                        .lock = {}};
  waiter.lock.Set(lock);
  return waiter;
}

bool Waits(const Proc& proc) {
  return proc.life.load() == ProcLife::kRunning && proc.locks.pending_lock.load() != nullptr &&
         proc.locks.wait_event.load() >= LWLockWaitEvent(TrancheId{0});
}

void NoteLockWaits(const LockTable::OwnedLocks& locks, Incident* incident) {
  incident->lock_waiters = incident->longest_lock_wait_us = incident->first_lock_wait_us = 0;
  const int64_t now_us = MonotonicUs(), wall_us = WallClockUs();
  for (const auto& wait : locks.waiters) {
    IncidentWaiter waiter = MakeWaiter(wait.owner.slot, wait.tag);
    waiter.began_us = now_us - std::max<int64_t>(wall_us - wait.since_us, 0);
    incident->AddLockWaiter(waiter);
  }
  incident->lock_waiters = static_cast<int64_t>(locks.waiter_count);
}

// The words for DescribeIncident.
class Sentence {
 public:
  template <typename... Args>
  void Add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
  }

  // The next words are about what became of it.
  void AddDuration(std::string_view what, int64_t us) {
    if (us >= 0) Add(", {} after {} us", what, us);
  }
  void AddWaits(int64_t count, std::string_view what, int64_t longest_us) {
    if (count > 0) Add(", {} waited for its {}, the longest {} us", count, what, longest_us);
  }

  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

void DescribeDead(const Incident& incident, Sentence* text) {
  if (incident.pid == 0) return text->Add("no process died");
  text->Add("{} {}, slot {}", incident.process.Get(), incident.pid, incident.slot);
  if (!incident.client.Get().empty()) text->Add(", client {}", incident.client.Get());
  text->Add(", {}", incident.death.Get());
  if (incident.in_command != 0) text->Add(" in \"{}\"", incident.command.Get());
  text->Add(", {}{}", incident.lwlock_count > 0 ? "holding " : "holding no lwlock",
            incident.lwlock_count > 0 ? incident.lwlocks.Get() : "");
  if (incident.lock_count > 0) text->Add(", {} locks of the lock table", incident.lock_count);
  if (incident.change.Get() != "none") text->Add(", change of pages {}", incident.change.Get());
  if (incident.commit.Get() != "none") text->Add(", commit {}", incident.commit.Get());
}

}  // namespace

bool LocksMakeSense(SlotIndex slot) {
  bool all = true;
  ForEachLock(Segment::Procs()[slot].locks, [&](const LWLock* lock) { all &= IsLock(lock); });
  return all;
}

Incident ExamineDeath(SlotIndex slot, int wait_status) {
  const Proc& proc = Segment::Procs()[slot];
  const int64_t reaped_ns = proc.reaped_ns.load(), killed_ns = proc.killed_ns.load();
  Incident incident = Begun(reaped_ns);
  incident.process.Set(KindName(proc.kind.load()));
  incident.pid = proc.pid.load();
  incident.slot = slot;
  incident.generation = proc.generation.load();
  incident.death.Set(DescribeWaitStatus(wait_status));
  incident.client_id = static_cast<int64_t>(proc.client.client_id.load());
  incident.client.Set(proc.client.address.Get());
  incident.client_name.Set(proc.client.name.Get());
  incident.command.Set(proc.client.last_command.Get());
  incident.in_command = proc.client.in_command.load();
  if (LocksMakeSense(slot)) {
    incident.lwlock_count = static_cast<int64_t>(CountLocks(proc.locks));
    incident.lwlocks.Set(DescribeLocks(proc.locks));
  } else {
    incident.lwlocks.Set("what its slot says makes no sense");
  }
  incident.change.Set(ChangeOf(slot));
  incident.commit.Set(CommitOf(proc));
  incident.found_after_us = killed_ns == 0 ? -1 : (reaped_ns - killed_ns) / 1000;
  return incident;
}

Incident ExamineNobody() { return Begun(MonotonicNs()); }

void NoteLwlockWaits(SlotIndex slot, Incident* incident) {
  // A predecessor that was killed may have left half of some.
  incident->lwlock_waiters = incident->lock_waiters = 0;
  incident->longest_lwlock_wait_us = incident->first_lwlock_wait_us = 0;
  std::vector<const LWLock*> locks;
  const ProcArray procs = Segment::Procs();
  ForEachLock(procs[slot].locks, [&](const LWLock* lock) { locks.push_back(lock); });
  for (SlotIndex other = 0; other < procs.size() && !locks.empty(); ++other) {
    const Proc& proc = procs[other];
    if (other == slot || !Waits(proc)) continue;
    const LWLock* const wanted = proc.locks.pending_lock.load();
    if (std::ranges::find(locks, wanted) == locks.end()) continue;
    IncidentWaiter waiter =
        MakeWaiter(other, fmt::format("{} {}", GetTranche(wanted->tranche).name, wanted->instance));
    waiter.began_us = proc.locks.wait_began_ns.load() / 1000;
    incident->AddLwlockWaiter(waiter);
  }
}

int64_t SinceReapedUs(const Incident& incident) { return MonotonicUs() - incident.reaped_us; }

void NoteLocks(const LockTable::OwnedLocks& locks, Incident* incident) {
  std::string text;
  for (const auto& named : locks.named) {
    fmt::format_to(std::back_inserter(text), "{}{} {}", text.empty() ? "" : ", ", named.tag,
                   TxLockModeName(named.granted));
    if (named.wanted != TxLockMode::kNone) {
      fmt::format_to(std::back_inserter(text), "{}(waits for {})",
                     named.granted == TxLockMode::kNone ? "" : " ", TxLockModeName(named.wanted));
    }
  }
  incident->lock_count = static_cast<int64_t>(locks.count);
  incident->locks.Set(text);
  NoteLockWaits(locks, incident);
}

std::string DescribeIncident(const Incident& incident) {
  Sentence text;
  DescribeDead(incident, &text);
  text.Add(": {}", incident.outcome.Get());
  if (!incident.reason.Get().empty()) text.Add(" ({})", incident.reason.Get());
  text.AddDuration("lwlocks free", incident.lwlocks_free_us);
  text.AddDuration("slot", incident.cleared_us);
  text.AddDuration("running", incident.running_us);
  text.AddWaits(incident.lwlock_waiters, "lwlocks", incident.longest_lwlock_wait_us);
  text.AddWaits(incident.lock_waiters, "locks", incident.longest_lock_wait_us);
  return text.Take();
}

}  // namespace warren
