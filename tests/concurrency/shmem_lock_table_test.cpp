// Does the lock table hold under many, as threads and as processes?
//
// Threads have no wake-ups of their own (a signal goes to the process), so there every wait looks
// again each few milliseconds; as processes nothing but a wake-up ends a wait in time.
#include "shmem/lock_table.h"

#include <fmt/format.h>
#include <sched.h>

#include <atomic>

#include "base/clock.h"
#include "shmem/stats.h"
#include "tests/support/lock_table_world.h"
#include "tests/support/shared_region.h"

#include <doctest/doctest.h>

namespace warren::test {
namespace {

using Mode = TxLockMode;
constexpr LockScope kTx = LockScope::kTransaction;
constexpr ActorForm kForms[] = {ActorForm::kThreads, ActorForm::kProcesses};

LockWait WaitIn(ActorForm form) { return Patient(form == ActorForm::kThreads ? 2 : 1'000'000); }

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
  const int rounds = FullForm() ? 20'000 : 2000;
  for (const ActorForm form : kForms) {
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

}  // namespace warren::test
