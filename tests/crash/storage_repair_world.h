// How does a test let one process die at one moment of a change, others wait for it, and a third
// repair what it left?
#pragma once

#include <algorithm>
#include <atomic>
#include <csignal>
#include <string>

#include "base/fault_point.h"
#include "shmem/buffer_cache.h"
#include "storage/death_repair.h"
#include "storage/mini_transaction.h"
#include "storage/wal.h"
#include "tests/crash/storage_history.h"
#include "tests/support/actors.h"
#include "tests/support/shared_region.h"
#include "tests/support/store_world.h"

namespace warren::test {

inline constexpr SlotIndex kVictimSlot = 1;
inline constexpr SlotIndex kWaiterSlot = 2;
inline constexpr SlotIndex kSecondWaiterSlot = 3;

// What the processes of a test tell each other.
struct Stage {
  std::atomic<int> at_point;  // 1: the victim is where it shall die
  std::atomic<int> go;        // 1: it may
  std::atomic<int> changes;   // that the victim has made in full
  std::atomic<int> waiters_done;
  std::atomic<int> stop;
};

// The victim's end: at the point, when it was passed `passes` times before, and when the stage says
// so.
struct Doom {
  FaultPoint point;
  int passes;
  Stage* stage;
};

inline Status WaitAndDie(FaultPoint, void* context) {
  auto& doom = *static_cast<Doom*>(context);
  if (doom.passes-- != 0) return {};
  doom.stage->at_point = 1;
  WaitFor([&] { return doom.stage->go.load() != 0; });
  kill(getpid(), SIGKILL);
  return {};
}

// What is wrong with what the repaired slot still names; nothing if it is as a free one.
inline std::string FindLeftovers(SlotIndex slot) {
  const LockProc& locks = Segment::Procs()[slot].locks;
  if (locks.pending_lock.load() != nullptr) return "a lock is pending";
  if (std::ranges::any_of(locks.held, [](const auto& held) { return held.load() != 0; })) {
    return "a lock is held";
  }
  return MiniTransactionAreaOf(slot).armed.load() != 0 ? "a change is armed" : "";
}

// Does a process that is not in a system call's midst sleep until the process of `other` does
// something?
inline bool WaitsFor(SlotIndex slot, SlotIndex other) {
  const auto is_owner = [](const LWLock& lock, SlotIndex owner) {
    return (lock.word.load() & LWLock::kOwnerMask) == owner + 1;
  };
  const Proc& proc = Segment::Procs()[slot];
  const uint64_t bit = uint64_t{1} << (other % kSlotsPerReaderWord);
  if (const LWLock* lock = proc.locks.pending_lock.load(); lock != nullptr) {
    const bool drains =
        is_owner(*lock, slot) && (lock->readers()[other / kSlotsPerReaderWord].load() & bit) != 0;
    return drains || is_owner(*lock, other);
  }
  return proc.locks.wait_event.load() == static_cast<uint16_t>(WaitEvent::kWalFlush) &&
         is_owner(Segment::WalFlushLock(), other);
}

inline uint64_t TimeoutsOnFreeLocks() {
  uint64_t sum = 0;
  for (const Proc& proc : Segment::Procs().slots()) sum += proc.locks.timeouts_on_free_lock.load();
  return sum;
}

// What cache and store have to say against themselves.
inline std::string FindFaults() {
  if (const Status cache = BufferCache::CheckInvariants(); !cache.ok()) {
    return cache.error().message;
  }
  const Status store = Store::Check();
  return store.ok() ? "" : store.error().message;
}

}  // namespace warren::test
