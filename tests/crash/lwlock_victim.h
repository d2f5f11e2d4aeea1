// How does a test kill a process at an exact place inside the lock code?
#pragma once

#include <signal.h>
#include <unistd.h>

#include "lwlock/repair.h"
#include "lwlock/test_point.h"
#include "tests/support/actors.h"
#include "tests/support/lock_world.h"

namespace warren::test {

// What the locks guard: whole when both are equal.
struct Pair {
  volatile uint64_t first;
  volatile uint64_t second;
};

// In the calling process: die by SIGKILL at the `times`-th passing of `point`.
inline thread_local LockTestPoint t_die_at;
inline thread_local int t_die_after = 0;  // passings left; 0: live on
inline void DieAt(LockTestPoint point, int times = 1) {
  t_die_at = point;
  t_die_after = times;
  t_lock_test_hook = [](LockTestPoint passed) {
    if (passed == t_die_at && t_die_after > 0 && --t_die_after == 0) kill(getpid(), SIGKILL);
  };
}

// In the calling process: die at the `step`-th point of whatever kind, the test's own included.
inline thread_local int t_steps_left = 0;  // 0: live on
inline void Step() {
  if (t_steps_left > 0 && --t_steps_left == 0) kill(getpid(), SIGKILL);
}
inline void DieAtStep(int step) {
  t_steps_left = step;
  t_lock_test_hook = [](LockTestPoint) { Step(); };
}

// The locks, a pair behind each, and a repair that makes a pair whole and counts.
class CrashWorld {
 public:
  static constexpr SlotIndex kSlots = 100;
  static constexpr size_t kLocks = 3;

  // Locks 0 .. 2 are of tranche test_several: any order is allowed to be tried.
  CrashWorld() : world_(kSlots, 1, kLocks) {
    pairs_ = world_.region().Allocate<Pair>(kLocks);
    repairs_ = world_.region().Allocate<std::atomic<int>>(kLocks);
    g_self = this;
    RegisterRepair(TrancheId::kTestSeveral, &CrashWorld::Repair);
    world_.Bind(kParent);
  }
  ~CrashWorld() { RegisterRepair(TrancheId::kTestSeveral, nullptr); }

  // Far apart, so that bits stand in both halves of different words.
  static constexpr SlotIndex kParent = 0;
  static constexpr SlotIndex kVictim = 40;
  static constexpr SlotIndex kSecondVictim = 70;
  static constexpr SlotIndex kWaiter = 3;
  static constexpr SlotIndex kSecondWaiter = 99;

  LWLock& lock(size_t i = 0) { return world_.several(i); }
  Pair& pair(size_t i = 0) { return pairs_[i]; }
  bool IsWhole(size_t i = 0) const { return pairs_[i].first == pairs_[i].second; }
  int repairs(size_t i = 0) const { return repairs_[i].load(); }
  LockWorld& world() { return world_; }

  // Changes a pair under its exclusive lock, with a step in the middle.
  void Change(size_t i = 0) {
    pairs_[i].first = pairs_[i].first + 1;
    Step();
    pairs_[i].second = pairs_[i].second + 1;
  }

  // What the process monitor does for a reaped process.
  bool RepairSlot(SlotIndex slot) {
    return ReleaseLocksOfDead(world_.space(), world_.proc(slot), slot);
  }

  // The slot has nothing left, and no lock knows it.
  bool IsClean(SlotIndex slot) {
    const LockProc& proc = world_.proc(slot);
    bool clean = proc.pending_lock.load() == nullptr;
    for (const auto& held : proc.held) clean = clean && held.load() == 0;
    for (size_t i = 0; i < kLocks; ++i) {
      clean = clean && (lock(i).word.load() & LWLock::kOwnerMask) != slot + 1;
      const uint64_t bits = lock(i).readers()[slot / kSlotsPerReaderWord].load();
      clean = clean && (bits >> (slot % kSlotsPerReaderWord) & 1) == 0;
    }
    return clean;
  }

  // Nobody has anything to do with the lock, and anybody can have it.
  bool IsAtRest(size_t i = 0) {
    if (lock(i).word.load() != 0 || !IsWhole(i)) return false;
    if (!TryAcquireExclusive(lock(i))) return false;
    ReleaseExclusive(lock(i));
    return true;
  }

 private:
  static inline CrashWorld* g_self = nullptr;

  // The dead owner's mark must still keep everybody out.
  static void Repair(LWLock& lock) noexcept {
    CrashWorld& self = *g_self;
    if ((lock.word.load() & LWLock::kOwnerMask) == 0) return;
    self.pairs_[lock.instance].second = self.pairs_[lock.instance].first;
    self.repairs_[lock.instance].fetch_add(1);
  }

  LockWorld world_;
  Pair* pairs_;
  std::atomic<int>* repairs_;
};

}  // namespace warren::test
