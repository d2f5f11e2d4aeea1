// Does a conditional acquire wait while its reason stands, and no longer?
#include <doctest/doctest.h>

#include "lwlock/lwlock.h"
#include "tests/support/actors.h"
#include "tests/support/lock_world.h"

namespace warren::test {
namespace {

constexpr uint64_t kMask = 0xff;

struct Guarded {
  std::atomic<uint64_t> tag;  // changes under the exclusive lock alone
  uint64_t count;
};

LockCondition TagIs(const Guarded& guarded, uint64_t tag) {
  return {.word = &guarded.tag, .mask = kMask, .value = tag};
}

bool Acquire(LockWorld& world, const Guarded& guarded, LockMode mode, uint64_t tag) {
  return mode == LockMode::kShared ? AcquireSharedWhile(world.lock(), TagIs(guarded, tag))
                                   : AcquireExclusiveWhile(world.lock(), TagIs(guarded, tag));
}

void Release(LockWorld& world, LockMode mode) {
  if (mode == LockMode::kShared) return ReleaseShared(world.lock());
  ReleaseExclusive(world.lock());
}

}  // namespace

TEST_CASE("a conditional acquire of a free lock looks at its condition under the lock") {
  LockWorld world(4);
  Guarded& guarded = *world.region().Allocate<Guarded>();
  world.Bind(0);
  guarded.tag = 0x107;  // bits outside the mask do not count
  for (const LockMode mode : {LockMode::kShared, LockMode::kExclusive}) {
    CHECK(Acquire(world, guarded, mode, 7));
    CHECK(HoldsAny(world.lock()));
    Release(world, mode);
    CHECK_FALSE(Acquire(world, guarded, mode, 8));
    CHECK(HeldLockCount() == 0);
    CHECK(world.proc(0).pending_lock.load() == nullptr);
  }
  AcquireExclusive(world.lock());
  ReleaseExclusive(world.lock());
}

TEST_CASE("a sleeper whose reason ends is gone while the lock is still held") {
  for (const LockMode mode : {LockMode::kShared, LockMode::kExclusive}) {
    LockWorld world(4);
    Guarded& guarded = *world.region().Allocate<Guarded>();
    world.Bind(0);
    AcquireExclusive(world.lock());
    Child sleeper([&] {
      world.Bind(1);
      return !Acquire(world, guarded, mode, 0);
    });
    const uint32_t flag =
        mode == LockMode::kShared ? LWLock::kSharedWaiters : LWLock::kExclusiveWaiters;
    REQUIRE(WaitFor([&] { return (world.lock().word.load() & flag) != 0; }));
    REQUIRE(sleeper.WaitUntilAsleep());
    guarded.tag = 1;
    RouseWaiters(world.lock());
    CHECK(sleeper.Succeeded());
    CHECK(world.proc(1).timeouts_on_free_lock.load() == 0);
    ReleaseExclusive(world.lock());
  }
}

TEST_CASE("an exclusive waiter that gives up while readers are inside does not keep others out") {
  LockWorld world(4);
  Guarded& guarded = *world.region().Allocate<Guarded>();
  world.Bind(0);
  guarded.tag = 1;
  AcquireShared(world.lock());
  Child late([&] {
    world.Bind(1);
    return !AcquireExclusiveWhile(world.lock(), TagIs(guarded, 0));
  });
  CHECK(late.Succeeded());
  CHECK((world.lock().word.load() & LWLock::kOwnerMask) == 0);
  ReleaseShared(world.lock());
}

TEST_CASE("conditional and plain acquires of a lock that changes its meaning all come to an end") {
  constexpr int kActors = 6;
  const auto test = [](ActorForm form) {
    const int rounds = FullForm() ? 100'000 : 8'000;
    LockWorld world(kActors);
    Guarded& guarded = *world.region().Allocate<Guarded>();
    CHECK(RunActors(form, kActors, [&](int me) {
      world.Bind(static_cast<SlotIndex>(me));
      for (int i = 0; i < rounds; ++i) {
        if (me == 0 || i % 7 == 0) {  // changes what the lock guards, as an eviction does
          AcquireExclusive(world.lock());
          guarded.tag = (guarded.tag + 1) & 1;
          ++guarded.count;
          RouseWaiters(world.lock());
          ReleaseExclusive(world.lock());
          continue;
        }
        const LockMode mode = (i + me) % 2 == 0 ? LockMode::kShared : LockMode::kExclusive;
        const uint64_t tag = static_cast<uint64_t>(i) % 2;
        if (!Acquire(world, guarded, mode, tag)) continue;
        const bool held_true = guarded.tag == tag;
        if (mode == LockMode::kExclusive) ++guarded.count;
        Release(world, mode);
        if (!held_true) return false;
      }
      return HeldLockCount() == 0;
    }));
    for (SlotIndex slot = 0; slot < kActors; ++slot) {
      CHECK(world.proc(slot).timeouts_on_free_lock.load() == 0);
    }
    CHECK((world.lock().word.load() & LWLock::kOwnerMask) == 0);
  };
  SUBCASE("as threads") { test(ActorForm::kThreads); }
  SUBCASE("as processes") { test(ActorForm::kProcesses); }
}

}  // namespace warren::test
