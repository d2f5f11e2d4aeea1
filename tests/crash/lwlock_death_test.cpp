// Does everybody go on when a process dies at an exact place of the lock's protocol, and is what it
// guarded repaired exactly when it has to be?
#include <doctest/doctest.h>

#include <memory>

#include "tests/crash/lwlock_victim.h"

namespace warren::test {
namespace {

using World = CrashWorld;
using Point = LockTestPoint;

// A child of `slot` that runs `body`.
std::unique_ptr<Child> Start(World& world, SlotIndex slot, FunctionRef<void()> body) {
  return std::make_unique<Child>([&, slot] {
    world.world().Bind(slot);
    GetLockTuning().spin_rounds = 0;
    body();
    return true;
  });
}

// Starts a child that waits for lock 0 in `mode` and returns once it sleeps for it.
std::unique_ptr<Child> StartWaiter(World& world, SlotIndex slot, LockMode mode) {
  auto child = Start(world, slot, [&world, mode] {
    if (mode == LockMode::kExclusive) {
      AcquireExclusive(world.lock());
      world.Change();
      ReleaseExclusive(world.lock());
    } else {
      AcquireShared(world.lock());
      if (!world.IsWhole()) _exit(4);
      ReleaseShared(world.lock());
    }
  });
  const auto& event = world.world().proc(slot).wait_event;
  REQUIRE(WaitFor([&] { return event.load() == LWLockWaitEvent(TrancheId::kTestSeveral); }));
  REQUIRE(child->WaitUntilAsleep());
  return child;
}

// Runs `body` in the victim's slot until it dies at `point`, and reaps it.
void RunVictim(World& world, Point point, FunctionRef<void()> body) {
  auto victim = Start(world, World::kVictim, [&] {
    DieAt(point);
    body();
  });
  REQUIRE(victim->WasKilled());
}

void CheckRepaired(World& world, SlotIndex slot, int repairs) {
  CHECK(world.RepairSlot(slot));
  CHECK(world.repairs() == repairs);
  CHECK(world.IsClean(slot));
  // Once more changes nothing.
  CHECK(world.RepairSlot(slot));
  CHECK(world.repairs() == repairs);
}

}  // namespace

TEST_CASE("a dead reader leaves nothing to repair, and the owner it kept waiting goes on") {
  World world;
  RunVictim(world, Point::kAcquired, [&] { AcquireShared(world.lock()); });
  CHECK_FALSE(TryAcquireExclusive(world.lock()));
  auto drainer = StartWaiter(world, World::kWaiter, LockMode::kExclusive);
  CHECK((world.lock().word.load() & LWLock::kOwnerMask) == World::kWaiter + 1);
  CheckRepaired(world, World::kVictim, 0);
  CHECK(drainer->Succeeded());
  CHECK(world.IsAtRest());
}

TEST_CASE("a dead owner's lock is repaired while it still keeps everybody out, then released") {
  World world;
  auto victim = Start(world, World::kVictim, [&] {
    AcquireExclusive(world.lock());
    DieAtStep(1);
    world.Change();
  });
  REQUIRE(victim->WasKilled());
  CHECK_FALSE(world.IsWhole());
  auto writer = StartWaiter(world, World::kWaiter, LockMode::kExclusive);
  auto reader = StartWaiter(world, World::kSecondWaiter, LockMode::kShared);
  CHECK(DescribeLocks(world.world().proc(World::kVictim)) == "test_several 0 exclusive");
  CheckRepaired(world, World::kVictim, 1);
  CHECK(writer->Succeeded());
  CHECK(reader->Succeeded());
  CHECK(world.IsAtRest());
}

TEST_CASE("a lock whose tranche has no repair function stays as the dead owner left it") {
  World world;
  RunVictim(world, Point::kAcquired, [&] { AcquireExclusive(world.lock()); });
  const RepairFunction repair = GetRepair(TrancheId::kTestSeveral);
  RegisterRepair(TrancheId::kTestSeveral, nullptr);
  CHECK_FALSE(world.RepairSlot(World::kVictim));
  CHECK((world.lock().word.load() & LWLock::kOwnerMask) == World::kVictim + 1);
  CHECK_FALSE(world.IsClean(World::kVictim));
  RegisterRepair(TrancheId::kTestSeveral, repair);
  CheckRepaired(world, World::kVictim, 1);
}

TEST_CASE("an acquire that died half way has nothing to repair") {
  for (const Point point :
       {Point::kPendingSet, Point::kWordTaken, Point::kDrained, Point::kHeldEntered}) {
    World world;
    RunVictim(world, point, [&] { AcquireExclusive(world.lock()); });
    CheckRepaired(world, World::kVictim, 0);
    CHECK(world.IsAtRest());
  }
  for (const Point point : {Point::kPendingSet, Point::kReaderBitSet, Point::kHeldEntered}) {
    World world;
    RunVictim(world, point, [&] { AcquireShared(world.lock()); });
    CheckRepaired(world, World::kVictim, 0);
    CHECK(world.IsAtRest());
  }
}

TEST_CASE("a release that died half way has nothing to repair, and wakes those who wait") {
  for (const Point point : {Point::kReleaseBegun, Point::kHeldLeft, Point::kWordCleared,
                            Point::kExclusiveWoken, Point::kSharedWoken, Point::kReleased}) {
    CAPTURE(static_cast<int>(point));
    World world;
    auto& go = *world.world().region().Allocate<std::atomic<int>>();
    auto victim = Start(world, World::kVictim, [&] {
      AcquireExclusive(world.lock());
      go = 1;
      WaitFor([&] { return go == 2; });
      DieAt(point);
      ReleaseExclusive(world.lock());
    });
    REQUIRE(WaitFor([&] { return go == 1; }));
    auto writer = StartWaiter(world, World::kWaiter, LockMode::kExclusive);
    auto reader = StartWaiter(world, World::kSecondWaiter, LockMode::kShared);
    go = 2;
    REQUIRE(victim->WasKilled());
    CheckRepaired(world, World::kVictim, 0);
    CHECK(writer->Succeeded());
    CHECK(reader->Succeeded());
    CHECK(world.IsAtRest());
    CHECK(world.world().proc(World::kWaiter).timeouts_on_free_lock.load() == 0);
  }
}

TEST_CASE("a reader that died between clearing its bit and the wake-up keeps no owner waiting") {
  World world;
  auto& go = *world.world().region().Allocate<std::atomic<int>>();
  auto victim = Start(world, World::kVictim, [&] {
    AcquireShared(world.lock());
    go = 1;
    WaitFor([&] { return go == 2; });
    DieAt(Point::kReaderBitCleared);
    ReleaseShared(world.lock());
  });
  REQUIRE(WaitFor([&] { return go == 1; }));
  auto drainer = StartWaiter(world, World::kWaiter, LockMode::kExclusive);
  go = 2;
  REQUIRE(victim->WasKilled());
  CheckRepaired(world, World::kVictim, 0);
  CHECK(drainer->Succeeded());
  CHECK(world.IsAtRest());
}

TEST_CASE("a sleeper that died does not matter to the others") {
  for (const LockMode mode : {LockMode::kExclusive, LockMode::kShared}) {
    World world;
    AcquireExclusive(world.lock());
    auto victim = StartWaiter(world, World::kVictim, mode);
    auto other = StartWaiter(world, World::kWaiter, mode);
    victim->Kill();
    REQUIRE(victim->WasKilled());
    CheckRepaired(world, World::kVictim, 0);
    ReleaseExclusive(world.lock());
    CHECK(other->Succeeded());
    CHECK(world.IsAtRest());
  }
}

TEST_CASE("an owner that died draining never was inside") {
  World world;
  AcquireShared(world.lock());
  auto victim = StartWaiter(world, World::kVictim, LockMode::kExclusive);
  CHECK((world.lock().word.load() & LWLock::kOwnerMask) == World::kVictim + 1);
  auto reader = StartWaiter(world, World::kWaiter, LockMode::kShared);
  victim->Kill();
  REQUIRE(victim->WasKilled());
  CheckRepaired(world, World::kVictim, 0);
  CHECK(reader->Succeeded());
  CHECK(HoldsAny(world.lock()));
  ReleaseShared(world.lock());
  CHECK(world.IsAtRest());
}

TEST_CASE("a wake-up that a dying process swallowed is made good") {
  // The second waiter sleeps behind the victim, which is woken, and dies before it takes the lock.
  World world;
  AcquireExclusive(world.lock());
  auto victim = Start(world, World::kVictim, [&] {
    DieAt(Point::kSleptForWord);
    AcquireExclusive(world.lock());
  });
  const auto& event = world.world().proc(World::kVictim).wait_event;
  REQUIRE(WaitFor([&] { return event.load() != 0; }));
  REQUIRE(victim->WaitUntilAsleep());
  auto other = StartWaiter(world, World::kWaiter, LockMode::kExclusive);
  ReleaseExclusive(world.lock());
  REQUIRE(victim->WasKilled());
  CheckRepaired(world, World::kVictim, 0);
  CHECK(other->Succeeded());
  CHECK(world.IsAtRest());
}

TEST_CASE("a lock reserved for a process that dies is free to all again") {
  World world;
  AcquireExclusive(world.lock());
  auto victim = Start(world, World::kVictim, [&] {
    GetLockTuning().patience_ns = 0;
    DieAt(Point::kSleptForWord, 2);
    AcquireExclusive(world.lock());
  });
  const auto& word = world.lock().word;
  REQUIRE(WaitFor([&] { return (word.load() & LWLock::kExclusiveWaiters) != 0; }));
  REQUIRE(victim->WaitUntilAsleep());
  // Woken in vain, it runs out of patience and demands the hand-over.
  RouseWaiters(world.lock());
  REQUIRE(WaitFor([&] { return (word.load() & LWLock::kHandOff) != 0; }));
  REQUIRE(victim->WaitUntilAsleep());
  ReleaseExclusive(world.lock());
  REQUIRE(victim->WasKilled());
  CHECK(word.load() == (LWLock::kHandOff | LWLock::kExclusiveTurn));
  CHECK_FALSE(TryAcquireShared(world.lock()));
  CheckRepaired(world, World::kVictim, 0);
  CHECK(world.IsAtRest());
}

TEST_CASE("with two locks held, each is repaired, and the one it waited for is not") {
  World world;
  AcquireExclusive(world.lock(2));
  auto victim = Start(world, World::kVictim, [&] {
    AcquireExclusive(world.lock(0));
    AcquireExclusive(world.lock(1));
    world.pair(0).first = 1;
    world.pair(1).first = 1;
    AcquireExclusive(world.lock(2));
  });
  const auto& word = world.lock(2).word;
  REQUIRE(WaitFor([&] { return (word.load() & LWLock::kExclusiveWaiters) != 0; }));
  victim->Kill();
  REQUIRE(victim->WasKilled());
  CHECK(DescribeLocks(world.world().proc(World::kVictim)) ==
        "test_several 0 exclusive, test_several 1 exclusive, test_several 2 pending");
  CheckRepaired(world, World::kVictim, 1);
  CHECK(world.repairs(1) == 1);
  CHECK(world.repairs(2) == 0);
  ReleaseExclusive(world.lock(2));
  for (size_t i = 0; i < World::kLocks; ++i) CHECK(world.IsAtRest(i));
}

TEST_CASE("releasing the first of two locks, a death at each store still finds the second") {
  for (const Point point : {Point::kReleaseBegun, Point::kHeldMoved, Point::kHeldLeft,
                            Point::kWordCleared, Point::kReleased}) {
    World world;
    RunVictim(world, point, [&] {
      AcquireExclusive(world.lock(0));
      AcquireExclusive(world.lock(1));
      world.pair(1).first = 1;
      ReleaseExclusive(world.lock(0));
    });
    CheckRepaired(world, World::kVictim, 0);
    CHECK(world.repairs(1) == 1);
    CHECK(world.IsAtRest(0));
    CHECK(world.IsAtRest(1));
  }
}

TEST_CASE("a downgrade that died is over or never was") {
  for (const Point point : {Point::kReleaseBegun, Point::kHeldLeft, Point::kReaderBitSet,
                            Point::kWordCleared, Point::kHeldEntered, Point::kReleased}) {
    World world;
    RunVictim(world, point, [&] {
      AcquireExclusive(world.lock());
      world.Change();
      Downgrade(world.lock());
    });
    CheckRepaired(world, World::kVictim, 0);
    CHECK(world.IsAtRest());
  }
}

TEST_CASE(
    "two that died at once, each holding what the other waits for, are repaired in any order") {
  for (const bool first_first : {true, false}) {
    World world;
    auto& inside = *world.world().region().Allocate<std::atomic<int>>();
    const auto embrace = [&](size_t mine, size_t other) {
      AcquireExclusive(world.lock(mine));
      world.pair(mine).first = 1;
      inside.fetch_add(1);
      WaitFor([&] { return inside == 2; });
      AcquireExclusive(world.lock(other));
    };
    auto one = Start(world, World::kVictim, [&] { embrace(0, 1); });
    auto two = Start(world, World::kSecondVictim, [&] { embrace(1, 0); });
    for (size_t i = 0; i < 2; ++i) {
      const auto& word = world.lock(i).word;
      REQUIRE(WaitFor([&] { return (word.load() & LWLock::kExclusiveWaiters) != 0; }));
    }
    one->Kill();
    two->Kill();
    REQUIRE(one->WasKilled());
    REQUIRE(two->WasKilled());
    CHECK(world.RepairSlot(first_first ? World::kVictim : World::kSecondVictim));
    CHECK(world.RepairSlot(first_first ? World::kSecondVictim : World::kVictim));
    CHECK(world.repairs(0) == 1);
    CHECK(world.repairs(1) == 1);
    CHECK(world.IsAtRest(0));
    CHECK(world.IsAtRest(1));
  }
}

TEST_CASE("a repairer that dies at any of its stores has a successor that finishes the work") {
  for (int step = 1;; ++step) {
    World world;
    auto victim = Start(world, World::kVictim, [&] {
      AcquireExclusive(world.lock(0));
      AcquireShared(world.lock(1));
      world.pair(0).first = 1;
      DieAt(Point::kWordTaken);
      AcquireExclusive(world.lock(2));
    });
    REQUIRE(victim->WasKilled());
    auto waiter = StartWaiter(world, World::kWaiter, LockMode::kExclusive);
    Child repairer([&] {
      DieAtStep(step);
      return world.RepairSlot(World::kVictim);
    });
    const bool died = repairer.WasKilled();
    CHECK(world.RepairSlot(World::kVictim));
    CHECK(world.repairs(0) >= 1);
    CHECK(world.repairs(1) == 0);
    CHECK(world.repairs(2) == 0);
    CHECK(waiter->Succeeded());
    CHECK(world.IsClean(World::kVictim));
    for (size_t i = 0; i < World::kLocks; ++i) CHECK(world.IsAtRest(i));
    if (!died) {
      CHECK(step > 8);
      break;
    }
  }
}

TEST_CASE("a new process in a repaired slot locks like any other") {
  World world;
  RunVictim(world, Point::kAcquired, [&] {
    AcquireShared(world.lock(1));
    AcquireExclusive(world.lock());
  });
  CHECK(world.RepairSlot(World::kVictim));
  auto successor = Start(world, World::kVictim, [&] {
    if (HeldLockCount() != 0) _exit(5);
    ExclusiveLock hold(world.lock());
    world.Change();
  });
  CHECK(successor->Succeeded());
  CHECK(world.IsClean(World::kVictim));
  CHECK(world.IsAtRest());
}

}  // namespace warren::test
