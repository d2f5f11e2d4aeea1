// Do LWLocks keep out whom they should? Each body runs as threads and as forked processes.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>

#include "lwlock/lwlock.h"
#include "tests/support/actors.h"
#include "tests/support/lock_world.h"

namespace warren::test {
namespace {

constexpr int kActors = 6;

int Rounds() { return FullForm() ? 200'000 : 20'000; }

// What the locks guard: plain variables, so that ThreadSanitizer sees every unordered access.
struct Guarded {
  uint64_t first;
  uint64_t second;
  uint64_t transfers;
};

void ForBothForms(FunctionRef<void(ActorForm)> test) {
  SUBCASE("as threads") { test(ActorForm::kThreads); }
  SUBCASE("as processes") { test(ActorForm::kProcesses); }
}

void Count(Guarded& guarded) {
  ++guarded.first;
  ++guarded.second;
}

// Free, nobody's bit set, and no wake-up was lost.
void CheckAtRest(LockWorld& world, LWLock& lock) {
  CHECK(lock.word.load() == 0);
  for (uint32_t i = 0; i < ReaderWords(world.slot_count()); ++i) {
    CHECK(lock.readers()[i].load() == 0);
  }
  for (SlotIndex slot = 0; slot < world.slot_count(); ++slot) {
    const LockProc& proc = world.proc(slot);
    CHECK(proc.pending_lock.load() == nullptr);
    CHECK(proc.timeouts_on_free_lock.load() == 0);
    CHECK(proc.wait_event.load() == 0);
    CHECK(std::all_of(proc.held.begin(), proc.held.end(),
                      [](const auto& held) { return held.load() == 0; }));
  }
}

}  // namespace

TEST_CASE("exclusive holders are alone") {
  ForBothForms([](ActorForm form) {
    LockWorld world(kActors);
    Guarded& guarded = *world.region().Allocate<Guarded>();
    CHECK(RunActors(form, kActors, [&](int me) {
      world.Bind(static_cast<SlotIndex>(me));
      for (int i = 0; i < Rounds(); ++i) {
        ExclusiveLock hold(world.lock());
        Count(guarded);
      }
      return HeldLockCount() == 0;
    }));
    CHECK(guarded.first == static_cast<uint64_t>(kActors * Rounds()));
    CHECK(guarded.second == guarded.first);
    CheckAtRest(world, world.lock());
  });
}

TEST_CASE("readers see what an exclusive holder left whole") {
  ForBothForms([](ActorForm form) {
    LockWorld world(200);
    Guarded& guarded = *world.region().Allocate<Guarded>();
    // Slots far apart, so that both halves of several reader words are used.
    CHECK(RunActors(form, kActors, [&](int me) {
      world.Bind(static_cast<SlotIndex>(me * 37));
      for (int i = 0; i < Rounds(); ++i) {
        if (i % 3 == me % 3) {
          ExclusiveLock hold(world.lock());
          Count(guarded);
        } else {
          SharedLock hold(world.lock());
          if (guarded.first != guarded.second) return false;
        }
      }
      return true;
    }));
    CheckAtRest(world, world.lock());
  });
}

TEST_CASE("tries never wait and keep out as acquires do") {
  ForBothForms([](ActorForm form) {
    LockWorld world(kActors);
    Guarded& guarded = *world.region().Allocate<Guarded>();
    auto& done = *world.region().Allocate<std::atomic<uint64_t>>();
    CHECK(RunActors(form, kActors, [&](int me) {
      world.Bind(static_cast<SlotIndex>(me));
      for (int i = 0; i < Rounds(); ++i) {
        if (TryAcquireExclusive(world.lock())) {
          Count(guarded);
          done.fetch_add(1);
          ReleaseExclusive(world.lock());
        }
        if (TryAcquireShared(world.lock())) {
          const bool whole = guarded.first == guarded.second;
          ReleaseShared(world.lock());
          if (!whole) return false;
        }
        // Some wait, so that a try that backs off has somebody to wake.
        if (i % 8 == 0) {
          SharedLock hold(world.lock());
          if (guarded.first != guarded.second) return false;
        } else if (i % 8 == 1) {
          ExclusiveLock hold(world.lock());
          Count(guarded);
          done.fetch_add(1);
        }
      }
      return true;
    }));
    CHECK(guarded.first == done.load());
    CHECK(done.load() >= static_cast<uint64_t>(kActors * Rounds() / 8));
    CheckAtRest(world, world.lock());
  });
}

TEST_CASE("a try for a lock of one's own fails and changes nothing") {
  LockWorld world(2);
  world.Bind(0);
  LWLock& lock = world.lock();
  AcquireExclusive(lock);
  CHECK_FALSE(TryAcquireExclusive(lock));
  CHECK_FALSE(TryAcquireShared(lock));
  CHECK(HoldsExclusive(lock));
  Downgrade(lock);
  CHECK_FALSE(TryAcquireExclusive(lock));
  CHECK_FALSE(TryAcquireShared(lock));
  CHECK(HoldsAny(lock));
  CHECK_FALSE(HoldsExclusive(lock));
  ReleaseShared(lock);
  CHECK(HeldLockCount() == 0);
  CheckAtRest(world, lock);
}

TEST_CASE("a downgrade lets readers in and no writer in between") {
  ForBothForms([](ActorForm form) {
    LockWorld world(kActors);
    Guarded& guarded = *world.region().Allocate<Guarded>();
    CHECK(RunActors(form, kActors, [&](int me) {
      world.Bind(static_cast<SlotIndex>(me));
      for (int i = 0; i < Rounds(); ++i) {
        if (i % 2 == 0) {
          AcquireExclusive(world.lock());
          Count(guarded);
          const uint64_t mine = guarded.first;
          Downgrade(world.lock());
          const bool unchanged = guarded.first == mine && guarded.second == mine;
          ReleaseShared(world.lock());
          if (!unchanged) return false;
        } else {
          SharedLock hold(world.lock());
          if (guarded.first != guarded.second) return false;
        }
      }
      return true;
    }));
    CHECK(guarded.first == static_cast<uint64_t>(kActors * Rounds() / 2));
    CheckAtRest(world, world.lock());
  });
}

TEST_CASE("two locks in order, released in any order") {
  ForBothForms([](ActorForm form) {
    constexpr int kAccounts = 4;
    LockWorld world(kActors, 1, kAccounts);
    auto* accounts = world.region().Allocate<int64_t>(kAccounts);
    CHECK(RunActors(form, kActors, [&](int me) {
      world.Bind(static_cast<SlotIndex>(me));
      uint64_t seed = static_cast<uint64_t>(me) + 1;
      for (int i = 0; i < Rounds() / 2; ++i) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const size_t low = (seed >> 33) % (kAccounts - 1);
        const size_t high = low + 1 + (seed >> 40) % (kAccounts - 1 - low);
        AcquireExclusive(world.several(low));
        AcquireExclusive(world.several(high));
        accounts[low] -= 1;
        accounts[high] += 1;
        const bool low_first = ((seed >> 50) & 1) != 0;
        ReleaseExclusive(world.several(low_first ? low : high));
        ReleaseExclusive(world.several(low_first ? high : low));
        if (i % 16 == 0) {
          int64_t sum = 0;
          for (size_t a = 0; a < kAccounts; ++a) AcquireShared(world.several(a));
          for (size_t a = 0; a < kAccounts; ++a) sum += accounts[a];
          for (size_t a = 0; a < kAccounts; ++a) ReleaseShared(world.several(a));
          if (sum != 0) return false;
        }
      }
      return HeldLockCount() == 0;
    }));
    for (size_t a = 0; a < kAccounts; ++a) CheckAtRest(world, world.several(a));
  });
}

TEST_CASE("acquires and waits are counted by tranche") {
  LockWorld world(2);
  world.Bind(0);
  { ExclusiveLock hold(world.lock()); }
  { SharedLock hold(world.lock()); }
  CHECK(TryAcquireShared(world.lock()));
  Child waiter([&] {
    world.Bind(1);
    ExclusiveLock hold(world.lock());
    return true;
  });
  const auto& waiting = world.proc(1);
  CHECK(WaitFor([&] { return waiting.wait_event.load() == LWLockWaitEvent(TrancheId::kTest); }));
  CHECK(WaitEventText(waiting.wait_event.load()) == "test");
  CHECK(waiter.WaitUntilAsleep());
  ReleaseShared(world.lock());
  CHECK(waiter.Succeeded());
  const auto counters = [&](SlotIndex slot) -> TrancheCounters& {
    return world.proc(slot).tranches[static_cast<size_t>(TrancheId::kTest)];
  };
  CHECK(counters(0).acquired.load() == 3);
  CHECK(counters(0).waited.load() == 0);
  CHECK(counters(1).acquired.load() == 1);
  CHECK(counters(1).waited.load() == 1);
  CHECK(counters(1).wait_ns.load() > 0);
  CheckAtRest(world, world.lock());
}

}  // namespace warren::test
