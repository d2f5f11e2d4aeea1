// Do LWLocks keep out whom they should? Each body runs as threads and as forked processes.
#include <doctest/doctest.h>

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

// Tests are about the locks, not about what the analysis can follow through aliases.
void Count(Guarded& guarded) {
  ++guarded.first;
  ++guarded.second;
}

// Free, nobody's bit set, and no wake-up was lost.
void CheckAtRest(LockWorld& world, LWLock& lock) {
  CHECK((lock.word.load() & LWLock::kOwnerMask) == 0);
  for (uint32_t i = 0; i < ReaderWords(world.slot_count()); ++i)
    CHECK(lock.readers()[i].load() == 0);
  for (SlotIndex slot = 0; slot < world.slot_count(); ++slot) {
    const LockProc& proc = world.proc(slot);
    CHECK(proc.pending_lock.load() == nullptr);
    CHECK(proc.timeouts_on_free_lock.load() == 0);
    CHECK(proc.wait_event.load() == 0);
    for (const auto& held : proc.held) CHECK(held.load() == 0);
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

}  // namespace warren::test
