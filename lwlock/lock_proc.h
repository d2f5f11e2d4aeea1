// What of a process's locking can others see, so that its death can be repaired?
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/ids.h"
#include "lwlock/tranche.h"

namespace warren {

struct LWLock;

enum class LockMode : uint8_t { kShared, kExclusive };

// Most LWLocks one process ever holds at once: the pages of a mini-transaction, two mapping
// partitions, the log's insert lock, the data file, and room to spare.
inline constexpr size_t kMaxHeldLocks = 32;

// A held lock in one word, so that it appears and vanishes by one store: the lock's address with
// the mode in bit 0; 0 is an empty place.
using HeldLock = uintptr_t;
inline HeldLock MakeHeldLock(const LWLock* lock, LockMode mode) {
  return reinterpret_cast<uintptr_t>(lock) | (mode == LockMode::kExclusive ? 1u : 0u);
}
inline LWLock* LockOf(HeldLock held) { return reinterpret_cast<LWLock*>(held & ~uintptr_t{1}); }
inline LockMode ModeOf(HeldLock held) {
  return (held & 1) != 0 ? LockMode::kExclusive : LockMode::kShared;
}

struct TrancheCounters {
  std::atomic<uint64_t> acquired;
  std::atomic<uint64_t> waited;   // acquires that had to sleep or spin
  std::atomic<uint64_t> wait_ns;  // time spent in those
};

// The part of a process slot that the locks use. Written by its process alone (and by whoever
// repairs it after its death), read by anybody.
struct LockProc {
  // The lock that an acquire or release under way is about; null in between. A dead process whose
  // pending lock is null has nothing half done on any lock.
  std::atomic<LWLock*> pending_lock;

  // The truth about what is held. An entry is stored before `pending_lock` is cleared, and
  // `pending_lock` is set before an entry is cleared.
  std::array<std::atomic<HeldLock>, kMaxHeldLocks> held;

  // Shown to people: the event waited for, or 0x8000 | tranche for an LWLock.
  std::atomic<uint16_t> wait_event;
  // MonotonicNs at which the wait for the pending lock began; means something while `wait_event`
  // names that lock's tranche.
  std::atomic<int64_t> wait_began_ns;

  // LWLock sleeps that timed out although the lock was free and whose wake-up did not come even
  // then: lost wake-ups. So are those of sleeps for the log's flush, counted here as well. Must
  // stay 0 unless a process was stopped.
  std::atomic<uint64_t> timeouts_on_free_lock;

  // Never folded and never cleared when the slot is reused: totals are sums over all slots.
  std::array<TrancheCounters, kTrancheCount> tranches;
};

// One per segment: which reader words need to be looked at.
struct LockSpace {
  uint32_t slot_count;  // fixed; every lock has one reader bit per slot
  // Reader words 0 .. reader_words-1 cover every slot that was ever used. Raised by CoverSlot()
  // alone, never lowered.
  std::atomic<uint32_t> reader_words;
};

inline constexpr uint32_t kSlotsPerReaderWord = 64;

// Words that hold the reader bits of `slot_count` slots.
constexpr uint32_t ReaderWords(uint32_t slot_count) {
  return (slot_count + kSlotsPerReaderWord - 1) / kSlotsPerReaderWord;
}

// Makes every lock heed the reader bit of `slot`. Before the first acquire of the slot's first
// process, by whoever allocated the slot or by that process. An owner that still read the former
// value had taken its lock before that, so the newcomer will see the owner and retreat.
inline void CoverSlot(LockSpace& space, SlotIndex slot) {
  const uint32_t words = ReaderWords(slot + 1);
  uint32_t now = space.reader_words.load();
  while (now < words && !space.reader_words.compare_exchange_weak(now, words)) {
  }
}

}  // namespace warren
