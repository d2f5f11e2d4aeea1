#include "lwlock/repair.h"

#include <fmt/format.h>

#include <array>
#include <climits>
#include <iterator>

#include "base/ordered_store.h"
#include "base/seeded_bug.h"
#include "lwlock/futex.h"
#include "lwlock/lock_wait.h"
#include "lwlock/test_point.h"

namespace warren {
namespace {

std::array<RepairFunction, kTrancheCount> g_repairs{};

bool Owns(const LWLock& lock, SlotIndex slot) {
  return (lock.word.load() & LWLock::kOwnerMask) == slot + 1;
}

void WakeEverybody(const LockSpace& space, LWLock& lock) {
  CountWakeUp(lock);
  FutexWake(FutexWord(lock.wake_ups), INT_MAX);
  for (uint32_t i = 0; i < space.reader_words.load(); ++i) {
    FutexWake(FutexHalf(lock.readers()[i], 1), INT_MAX);
    FutexWake(FutexHalf(lock.readers()[i], uint64_t{1} << 32), INT_MAX);
  }
}

void ReleaseOne(const LockSpace& space, const LockProc& dead, LWLock& lock, SlotIndex slot) {
  const uint64_t bit = uint64_t{1} << (slot % kSlotsPerReaderWord);
  const bool held = Owns(lock, slot) || (lock.readers()[slot / kSlotsPerReaderWord] & bit) != 0;
  if (!WARREN_SEEDED_BUG(reader_bit_stays)) {
    lock.readers()[slot / kSlotsPerReaderWord].fetch_and(~bit);
  }
  TestPoint(LockTestPoint::kRepairReaderBitCleared);
  if (Owns(lock, slot)) {
    if (DiedInside(dead, lock, slot) && !WARREN_SEEDED_BUG(repair_not_called)) {
      GetRepair(lock.tranche)(lock);
    }
    TestPoint(LockTestPoint::kRepairCalled);
    lock.word.exchange(0);
    TestPoint(LockTestPoint::kRepairWordCleared);
  } else {
    // It may have reserved the lock, or have been woken to make use of a reservation.
    uint32_t seen = lock.word.load();
    while (seen != 0 && (seen & LWLock::kOwnerMask) == 0 &&
           !lock.word.compare_exchange_weak(seen, 0)) {
    }
  }
  // Always, even if it held nothing here: it may have died between a release and its wake-up, or
  // having swallowed a wake-up meant to be passed on.
  if (held || !WARREN_SEEDED_BUG(woken_only_if_held)) WakeEverybody(space, lock);
  TestPoint(LockTestPoint::kRepairWoken);
}

}  // namespace

void RegisterRepair(TrancheId tranche, RepairFunction repair) {
  g_repairs[static_cast<size_t>(tranche)] = repair;
}

RepairFunction GetRepair(TrancheId tranche) { return g_repairs[static_cast<size_t>(tranche)]; }

bool DiedInside(const LockProc& dead, const LWLock& lock, SlotIndex slot) {
  return Owns(lock, slot) && dead.pending_lock.load() != &lock;
}

const LWLock* FindUnrepairable(const LockProc& dead, SlotIndex slot) {
  for (const auto& entry : dead.held) {
    const LWLock* lock = LockOf(entry.load());
    if (lock != nullptr && DiedInside(dead, *lock, slot) && GetRepair(lock->tranche) == nullptr)
      return lock;
  }
  return nullptr;
}

bool ReleaseLocksOfDead(const LockSpace& space, LockProc& dead, SlotIndex slot) {
  if (FindUnrepairable(dead, slot) != nullptr) return false;
  // Last entered first, and each entry is cleared only once its lock is free: a successor that
  // takes over from a dead repairer does the same again. A lock that was also pending is done last,
  // when its entry (if it has one) is gone, for `pending` is what says that nothing was half done
  // there.
  for (size_t i = kMaxHeldLocks; i-- > 0;) {
    const HeldLock entry = dead.held[i].load();
    if (entry == 0) continue;
    ReleaseOne(space, dead, *LockOf(entry), slot);
    StoreAfter(dead.held[i], HeldLock{0});
    TestPoint(LockTestPoint::kRepairHeldCleared);
  }
  if (LWLock* pending = dead.pending_lock.load(); pending != nullptr) {
    ReleaseOne(space, dead, *pending, slot);
    StoreAfter(dead.pending_lock, static_cast<LWLock*>(nullptr));
  }
  return true;
}

std::string DescribeLocks(const LockProc& proc) {
  std::string text;
  const auto add = [&](const LWLock& lock, const char* how) {
    fmt::format_to(std::back_inserter(text), "{}{} {} {}", text.empty() ? "" : ", ",
                   GetTranche(lock.tranche).name, lock.instance, how);
  };
  for (const auto& entry : proc.held) {
    const HeldLock held = entry.load();
    if (held != 0)
      add(*LockOf(held), ModeOf(held) == LockMode::kExclusive ? "exclusive" : "shared");
  }
  if (const LWLock* pending = proc.pending_lock.load(); pending != nullptr)
    add(*pending, "pending");
  return text;
}

}  // namespace warren
