// Is the lock table whole, and everybody else's wait over, after a process was killed at any step?
//
// The repair is what lock_queue.h promises: everything derived is made anew from the entries, what
// can be granted is granted, and whoever may have been about to be woken is woken. Nobody here
// looks again by himself, so that a lost wake-up is a wait that does not end.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault_point.h"
#include "shmem/lock_pool.h"
#include "shmem/lock_table.h"
#include "tests/support/lock_table_world.h"

#include <doctest/doctest.h>

namespace warren::test {
namespace {

using Mode = TxLockMode;
constexpr LockScope kTx = LockScope::kTransaction;
constexpr SlotIndex kVictimSlot = 1;

// Dies at the point when it has been passed `passes` times before.
struct Doom {
  FaultPoint point;
  int passes;
};

Status DieWhenDue(FaultPoint, void* context) {
  if (static_cast<Doom*>(context)->passes-- == 0) kill(getpid(), SIGKILL);
  return {};
}

// Every kind of step: grants of each kind, a lock made stronger and weaker, a wait given up, a
// grant that has expired taken away, others' waits ended.
bool DoEverything(const Doom& doom_given) {
  Doom doom = doom_given;
  LockTableWorld::BecomeChild(kVictimSlot);
  if (!TryLocked(KeyTag(0, "hot"), Mode::kX) || !TryLocked(DatabaseTag(1), Mode::kX)) return false;
  if (!WaitFor([] { return WaitingCount() == 4; })) return false;
  SetFaultAction(doom.point, DieWhenDue, &doom);
  bool ok = TryLocked(KeyTag(0, "cold"), Mode::kS) && TryLocked(KeyTag(0, "cold"), Mode::kX);
  ok = ok && TryLocked(DatabaseTag(0), Mode::kIX) && TryLocked(DatabaseTag(0), Mode::kX);
  ok = ok && TryLocked(AdvisoryTag("expired"), Mode::kX);
  ok = ok && TryLocked(AdvisoryTag("both"), Mode::kX, LockScope::kSession) &&
       TryLocked(AdvisoryTag("both"), Mode::kS) && LockTable::Unlock(AdvisoryTag("both"));
  ok = ok && TryLocked(KeyTag(0, "shared"), Mode::kS);
  for (const char* name : {"mine", "shared"}) {
    const Status status = LockTable::Lock(KeyTag(0, name), Mode::kX, kTx, ForAtMost(1));
    ok = ok && !status.ok() && status.error().code == ErrorCode::kLockTimeout;
  }
  LockTable::ReleaseAll(kTx);
  ClearFaultActions();
  ProcArray::EnterExited();
  return ok;
}

// Waits until it is granted and woken; nothing else ends the wait.
class Waiter {
 public:
  Waiter(SlotIndex slot, const LockTag& tag, Mode mode)
      : child_([&] {
          LockTableWorld::BecomeChild(slot);
          const bool ok = LockTable::Lock(tag, mode, kTx, Patient()).ok();
          LockTableWorld::LeaveProcess();
          return ok;
        }) {}
  bool Ends() { return child_.Succeeded(5); }

 private:
  Child child_;
};

void RequireConsistent() {
  const Status status = LockTable::CheckInvariants();
  REQUIRE_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message));
}

void LockAsASearchDoes() NO_THREAD_SAFETY_ANALYSIS {
  AcquireExclusive(*g_lock_pool.deadlock_lock);
  for (uint32_t i = 0; i < kLockPartitions; ++i) AcquireShared(g_lock_pool.partition_locks[i]);
}

// False: it did not come to that point so often.
bool DiesAt(const Doom& doom) {
  const LockTableWorld world;
  REQUIRE(TryLocked(KeyTag(0, "mine"), Mode::kX));
  REQUIRE(TryLocked(KeyTag(0, "shared"), Mode::kS));
  REQUIRE(TryLocked(AdvisoryTag("expired"), Mode::kX, LockScope::kSession));
  REQUIRE(LockTable::Renew(AdvisoryTag("expired"), LockTable::Token(AdvisoryTag("expired")), 1));
  Child victim([&] { return DoEverything(doom); });
  REQUIRE(WaitFor([] { return LockTable::EntryCount() == 5; }));
  Waiter first(2, KeyTag(0, "hot"), Mode::kS);
  Waiter second(3, KeyTag(0, "hot"), Mode::kS);
  Waiter third(4, KeyTag(0, "hot"), Mode::kX);
  Waiter of_database(5, DatabaseTag(1), Mode::kIX);
  const int status = victim.Wait();
  REQUIRE(status != -1);
  const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  if (killed) {
    Proc& proc = Segment::Procs()[kVictimSlot];
    proc.life.store(ProcLife::kDead);
    REQUIRE(ReleaseLocksOfDead(Segment::Locks(), proc.locks, kVictimSlot));
    // The partition is whole before the dead one's entries are dropped, and may be made so again.
    RequireConsistent();
    LockTable::DropOwner({kVictimSlot, proc.generation.load()});
  }
  Segment::Procs()[kVictimSlot].life.store(ProcLife::kFree);
  CHECK(first.Ends());
  CHECK(second.Ends());
  CHECK(third.Ends());
  CHECK(of_database.Ends());
  RequireConsistent();
  LockTable::ReleaseAll(kTx);
  LockTable::ReleaseAll(LockScope::kSession);
  CHECK(LockTable::EntryCount() == 0);
  CHECK(!LockTable::WriteConflicts(0, "hot"));
  return killed;
}

}  // namespace

TEST_CASE("a death at any step of taking and giving back locks is repaired and ends every wait") {
  constexpr FaultPoint kPoints[] = {FaultPoint::kLockOwn,   FaultPoint::kLockLink,
                                    FaultPoint::kLockCount, FaultPoint::kLockUnlink,
                                    FaultPoint::kLockGrant, FaultPoint::kLockWake,
                                    FaultPoint::kLockGiveUp};
  for (const FaultPoint point : kPoints) {
    CAPTURE(std::string(FaultPointName(point)));
    int deaths = 0;
    for (int passes = 0; passes < 100; ++passes) {
      CAPTURE(passes);
      if (!DiesAt({point, passes})) break;
      ++deaths;
    }
    CHECK(deaths > 0);
    CHECK(deaths < 100);
  }
}

TEST_CASE("a partition is made anew from its entries whatever was derived from them") {
  const LockTableWorld world;
  for (int i = 0; i < 300; ++i) REQUIRE(TryLocked(KeyTag(0, fmt::format("{}", i)), Mode::kX));
  REQUIRE(TryLocked(DatabaseTag(2), Mode::kS));
  Child child([] {
    LockTableWorld::BecomeChild(1);
    const bool ok = LockTable::Lock(KeyTag(0, "7"), Mode::kX, kTx, Patient()).ok();
    LockTableWorld::LeaveProcess();
    return ok;
  });
  REQUIRE(WaitUntilWaiting(1));
  for (uint32_t i = 0; i < kLockPartitions; ++i) {
    LockPartition& partition = g_lock_pool.partitions[i];
    partition.keys.store(1000);
    partition.used.store(7);
    partition.waiting = 99;
    partition.free = 3;
    partition.fresh = 1;
    partition.last_ticket = 0;
    for (uint32_t bucket = 0; bucket < g_lock_pool.buckets; ++bucket) {
      g_lock_pool.heads[i * g_lock_pool.buckets + bucket] = bucket + 1;
    }
  }
  for (uint32_t database = 0; database < 4; ++database) g_lock_pool.strong[database].store(17);
  for (uint32_t i = 0; i < kLockPartitions; ++i) {
    const ExclusiveLock lock(g_lock_pool.partition_locks[i]);
    GetRepair(TrancheId::kLockPartition)(g_lock_pool.partition_locks[i]);
  }
  RequireConsistent();
  CHECK(LockTable::EntryCount() == 302);
  CHECK(LockTable::Held(KeyTag(0, "7")) == Mode::kX);
  LockTable::ReleaseAll(kTx);
  CHECK(child.Succeeded());
  CHECK(LockTable::EntryCount() == 0);
}

TEST_CASE("a searcher for deadlocks that is killed leaves the search to the next") {
  const LockTableWorld world;
  Child child([] {
    LockTableWorld::BecomeChild(1);
    LockAsASearchDoes();
    kill(getpid(), SIGKILL);
    return false;
  });
  REQUIRE(child.WasKilled());
  LockTableWorld::Bury(1);
  REQUIRE(TryLocked(KeyTag(0, "k"), Mode::kX));
  Child next([] {
    LockTableWorld::BecomeChild(2);
    LockWait wait = Patient(1);
    wait.timeout_ms = 20;
    const Status status = LockTable::Lock(KeyTag(0, "k"), Mode::kX, kTx, wait);
    LockTableWorld::LeaveProcess();
    return !status.ok() && g_lock_pool.state->last_search_us.load() != 0;
  });
  CHECK(next.Succeeded());
}

}  // namespace warren::test
