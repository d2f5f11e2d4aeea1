// Does the lock table hold under many, as threads and as processes?
//
// Threads have no wake-ups of their own (a signal goes to the process), so there every wait looks
// again each few milliseconds; as processes nothing but a wake-up ends a wait in time.
#include "shmem/lock_table.h"

#include <fmt/format.h>
#include <sched.h>

#include <atomic>

#include "base/clock.h"
#include "base/fault_point.h"
#include "shmem/stats.h"
#include "tests/support/lock_table_world.h"
#include "tests/support/shared_region.h"

#include <doctest/doctest.h>

namespace warren::test {
namespace {

using Mode = TxLockMode;
constexpr LockScope kTx = LockScope::kTransaction;
constexpr ActorForm kForms[] = {ActorForm::kThreads, ActorForm::kProcesses};

LockWait WaitIn(ActorForm form) { return Patient(form == ActorForm::kThreads ? 1 : 1'000'000); }

// The body's process or thread in slot actor + 1.
void Enter(ActorForm form, int actor) {
  // Before the slot is entered: whoever finds the process there may wake it.
  if (form == ActorForm::kProcesses) Latch::InstallHandlers();
  LockTableWorld::BecomeProcess(static_cast<SlotIndex>(actor + 1));
}

// A shared counter that nobody may touch but under a lock of the table.
struct Guarded {
  std::atomic<int> readers;
  std::atomic<int> writers;
  std::atomic<uint64_t> wrong;

  void Use(Mode mode) {
    std::atomic<int>& mine = mode == Mode::kX ? writers : readers;
    mine.fetch_add(1);
    if (writers.load() > (mode == Mode::kX ? 1 : 0)) wrong.fetch_add(1);
    if (mode == Mode::kX && readers.load() > 0) wrong.fetch_add(1);
    mine.fetch_sub(1);
  }
};

}  // namespace

TEST_CASE("conflicting holders never meet and every wait ends") {
  constexpr int kActors = 8;
  constexpr int kKeys = 4;
  for (const ActorForm form : kForms) {
    const int rounds = (FullForm() ? 10 : 1) * (form == ActorForm::kThreads ? 200 : 2000);
    CAPTURE(static_cast<int>(form));
    LockTableWorld world;
    SharedRegion region(4096);
    Guarded* const guarded = region.Allocate<Guarded>(kKeys);
    const bool ok = RunActors(form, kActors, [&](int actor) {
      Enter(form, actor);
      uint64_t random = static_cast<uint64_t>(actor) + 1;
      bool good = true;
      for (int i = 0; i < rounds && good; ++i) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const auto key = static_cast<int>(random >> 60 & 3);
        const Mode mode = (random >> 40 & 3) == 0 ? Mode::kX : Mode::kS;
        good = LockTable::Lock(KeyTag(0, fmt::format("{}", key)), mode, kTx, WaitIn(form)).ok();
        guarded[key].Use(mode);
        if (i % 16 == 0) sched_yield();  // so that others come and have to wait
        LockTable::ReleaseAll(kTx);
      }
      LockTableWorld::LeaveProcess();
      return good;
    });
    CHECK(ok);
    for (int key = 0; key < kKeys; ++key) CHECK(guarded[key].wrong.load() == 0);
    CHECK(LockTable::EntryCount() == 0);
    CHECK(Stats::Read(StatId::kLockWaits) > 0);
  }
}

TEST_CASE("a waiter is granted by the release and woken at once") {
  LockTableWorld world;
  const LockTag tag = KeyTag(0, "k");
  for (int i = 0; i < 50; ++i) {
    REQUIRE(TryLocked(tag, Mode::kX));
    Child child([&] {
      LockTableWorld::BecomeChild(1);
      const bool ok = LockTable::Lock(tag, Mode::kS, kTx, Patient()).ok();
      LockTableWorld::LeaveProcess();
      return ok;
    });
    REQUIRE(WaitUntilWaiting(1));
    LockTable::ReleaseAll(kTx);
    REQUIRE(child.Succeeded());
  }
}

TEST_CASE("a late shared locker does not overtake a waiting exclusive one") {
  LockTableWorld world;
  const LockTag tag = KeyTag(0, "k");
  SharedRegion region(4096);
  std::atomic<int>& order = *region.Allocate<std::atomic<int>>();
  REQUIRE(TryLocked(tag, Mode::kS));
  const auto waiter = [&](SlotIndex slot, Mode mode, int place) {
    return [&order, &tag, slot, mode, place] {
      LockTableWorld::BecomeChild(slot);
      const bool ok = LockTable::Lock(tag, mode, kTx, Patient()).ok() && order.load() == place;
      order.store(place + 1);
      LockTableWorld::LeaveProcess();
      return ok;
    };
  };
  Child exclusive(waiter(1, Mode::kX, 0));
  REQUIRE(WaitUntilWaiting(1));
  Child late(waiter(2, Mode::kS, 1));
  REQUIRE(WaitUntilWaiting(2));
  // Neither does a try, nor a look.
  Child tries([&] {
    LockTableWorld::BecomeChild(3);
    const bool ok = !TryLocked(tag, Mode::kS) && LockTable::WriteConflicts(0, "k");
    LockTableWorld::LeaveProcess();
    return ok;
  });
  CHECK(tries.Succeeded());
  CHECK(LockTable::CheckInvariants().ok());
  LockTable::ReleaseAll(kTx);
  CHECK(exclusive.Succeeded());
  CHECK(late.Succeeded());
}

TEST_CASE("who holds a lock and wants more goes before those who hold nothing") {
  LockTableWorld world;
  const LockTag tag = DatabaseTag(1);
  REQUIRE(TryLocked(tag, Mode::kS));
  Child holder([&] {
    LockTableWorld::BecomeChild(1);
    bool ok = TryLocked(tag, Mode::kS) && WaitUntilWaiting(1);
    ok = ok && LockTable::Lock(tag, Mode::kX, kTx, Patient()).ok();
    // The other one, who came first, still waits.
    ok = ok && WaitingCount(2) == 1 && LockTable::CheckInvariants().ok();
    LockTableWorld::LeaveProcess();
    return ok;
  });
  REQUIRE(WaitFor([] { return LockTable::EntryCount() == 2; }));
  Child fresh([&] {
    LockTableWorld::BecomeChild(2);
    const bool ok = LockTable::Lock(tag, Mode::kX, kTx, Patient()).ok();
    LockTableWorld::LeaveProcess();
    return ok;
  });
  REQUIRE(WaitUntilWaiting(2));
  LockTable::ReleaseAll(kTx);
  CHECK(holder.Succeeded());
  CHECK(fresh.Succeeded());
}

TEST_CASE("a stream of shared lockers does not starve an exclusive one") {
  constexpr int kActors = 6;
  for (const ActorForm form : kForms) {
    const int rounds = (FullForm() ? 10 : 1) * (form == ActorForm::kThreads ? 20 : 200);
    CAPTURE(static_cast<int>(form));
    LockTableWorld world;
    const LockTag tag = KeyTag(0, "k");
    SharedRegion region(4096);
    std::atomic<bool>& over = *region.Allocate<std::atomic<bool>>();
    const bool ok = RunActors(form, kActors, [&](int actor) {
      Enter(form, actor);
      const bool writes = actor == 0;
      LockWait wait = WaitIn(form);
      wait.timeout_ms = 20'000;
      bool good = true;
      for (int i = 0; good && (writes ? i < rounds : !over.load()); ++i) {
        good = LockTable::Lock(tag, writes ? Mode::kX : Mode::kS, kTx, wait).ok();
        // While this one goes on holding it, the next one comes.
        if (!writes) sched_yield();
        LockTable::ReleaseAll(kTx);
      }
      if (writes) over.store(true);
      LockTableWorld::LeaveProcess();
      return good;
    });
    CHECK(ok);
  }
}

// A grant and the end of the wait at the same moment. The waiter stops where it has decided to give
// up, until it is granted.
struct LateGrant {
  static Status UntilGranted(FaultPoint, void*) {
    (void)WaitFor([] { return WaitingCount(1) == 0; });
    return {};
  }
};

TEST_CASE("a waiter whose time is over when it is granted takes the grant") {
  LockTableWorld world;
  const LockTag tag = KeyTag(0, "k");
  REQUIRE(TryLocked(tag, Mode::kX));
  SharedRegion region(4096);
  std::atomic<int>& gives_up = *region.Allocate<std::atomic<int>>();
  Child child([&] {
    LockTableWorld::BecomeChild(1);
    SetFaultAction(
        FaultPoint::kLockGiveUp,
        [](FaultPoint point, void* context) {
          static_cast<std::atomic<int>*>(context)->store(1);
          return LateGrant::UntilGranted(point, nullptr);
        },
        &gives_up);
    const bool ok = LockTable::Lock(tag, Mode::kX, kTx, ForAtMost(5)).ok() &&
                    LockTable::Held(tag) == Mode::kX && LockTable::EntryCount() == 1;
    ClearFaultActions();
    LockTableWorld::LeaveProcess();
    return ok;
  });
  REQUIRE(WaitFor([&] { return gives_up.load() == 1; }));
  LockTable::ReleaseAll(kTx);
  CHECK(child.Succeeded());
  CHECK(LockTable::EntryCount() == 0);
}

TEST_CASE("a waiter that has to end when it is granted gives the grant back to the next") {
  LockTableWorld world;
  const LockTag tag = KeyTag(0, "k");
  for (const bool upgrades : {false, true}) {
    CAPTURE(upgrades);
    SharedRegion region(4096);
    std::atomic<int>& step = *region.Allocate<std::atomic<int>>();
    Child ends([&] {
      LockTableWorld::BecomeChild(1);
      if (upgrades && !TryLocked(tag, Mode::kS)) return false;
      step.store(1);
      auto attend = [&]() -> Status {
        if (step.load() < 3) return {};
        return MakeError(ErrorCode::kShutdown, "told to end");
      };
      SetFaultAction(FaultPoint::kLockGiveUp, LateGrant::UntilGranted);
      bool ok = WaitFor([&] { return step.load() == 2; });
      LockWait wait{.timeout_ms = 0, .deadlock_timeout_ms = 2, .client_fd = -1, .attend = attend};
      ok = ok && !LockTable::Lock(tag, Mode::kX, kTx, wait).ok();
      ok = ok && LockTable::Held(tag) == (upgrades ? Mode::kS : Mode::kNone);
      ClearFaultActions();
      // The next one has it now, or shares it.
      ok = ok && WaitFor([&] { return WaitingCount() == 0; }) && LockTable::CheckInvariants().ok();
      LockTableWorld::LeaveProcess();
      return ok;
    });
    REQUIRE(WaitFor([&] { return step.load() == 1; }));
    REQUIRE(TryLocked(tag, upgrades ? Mode::kS : Mode::kX));
    step.store(2);
    REQUIRE(WaitUntilWaiting(1));
    Child next([&] {
      LockTableWorld::BecomeChild(2);
      const bool ok = LockTable::Lock(tag, Mode::kS, kTx, Patient()).ok();
      LockTableWorld::LeaveProcess();
      return ok;
    });
    REQUIRE(WaitUntilWaiting(2));
    step.store(3);
    // It has decided to end, or is about to; now it is granted, and the next one is not.
    LockTable::ReleaseAll(kTx);
    CHECK(ends.Succeeded());
    CHECK(next.Succeeded());
    CHECK(LockTable::EntryCount() == 0);
  }
}

TEST_CASE("a waiter gets an advisory lock when the holder's time has come") {
  LockTableWorld world;
  const LockTag tag = AdvisoryTag("name");
  REQUIRE(TryLocked(tag, Mode::kX, LockScope::kSession));
  Child child([&] {
    LockTableWorld::BecomeChild(1);
    const bool ok = LockTable::Lock(tag, Mode::kX, kTx, Patient()).ok();
    LockTableWorld::LeaveProcess();
    return ok;
  });
  REQUIRE(WaitUntilWaiting(1));
  // Set when the other one waits already, for a time that is still to come.
  REQUIRE(LockTable::Renew(tag, LockTable::Token(tag), WallClockUs() + 20'000));
  CHECK(child.Succeeded());
  CHECK(!LockTable::Unlock(tag));
}

}  // namespace warren::test
