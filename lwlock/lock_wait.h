// What does a process do while a lock is not to be had?
//
// Internal to lwlock/: spinning, sleeping, and the words it sleeps on.
#pragma once

#include <atomic>
#include <climits>
#include <cstdint>

#include "lwlock/futex.h"
#include "lwlock/lock_self.h"

namespace warren {

// Futex bits: who of those that sleep for a lock's word is woken.
inline constexpr uint32_t kWakeExclusive = 1;
inline constexpr uint32_t kWakeShared = 2;

// Precedes every wake-up of those who sleep for the word, and follows what they are woken for: who
// read the count before does not fall asleep any more.
inline void CountWakeUp(LWLock& lock) { lock.wake_ups.fetch_add(1, std::memory_order_seq_cst); }

// Set one's own reader bit. seq_cst: partner of the owner's compare-and-swap and scan
// (AcquireExclusive). Either the owner's scan sees this bit, or our next look at the word sees the
// owner.
inline void SetReaderBit(LWLock& lock) {
  lock.readers()[t_lock_self.reader_word].fetch_or(t_lock_self.reader_bit,
                                                   std::memory_order_seq_cst);
  TestPoint(LockTestPoint::kReaderBitSet);
}

// Clears one's own reader bit, and wakes an owner that may wait for just that.
inline void ClearReaderBit(LWLock& lock) {
  std::atomic<uint64_t>& word = lock.readers()[t_lock_self.reader_word];
  const uint64_t bit = t_lock_self.reader_bit;
  const uint64_t before = word.fetch_and(~bit, std::memory_order_seq_cst);
  TestPoint(LockTestPoint::kReaderBitCleared);
  // An owner that comes after this look scans after our bit is gone.
  if (lock.word.load(std::memory_order_seq_cst) == 0) return;
  if ((before & FutexHalfMask(bit)) == bit) FutexWake(FutexHalf(word, bit), INT_MAX);
}

// Gives up the ownership of a word on which somebody sleeps.
void ClearOwnerSlow(LWLock& lock, uint32_t seen);

// Gives up ownership of the word and wakes whoever sleeps on it.
inline void ClearOwner(LWLock& lock) {
  uint32_t seen = t_lock_self.owner;
  if (!lock.word.compare_exchange_strong(seen, 0, std::memory_order_seq_cst)) {
    ClearOwnerSlow(lock, seen);
  } else {
    TestPoint(LockTestPoint::kWordCleared);
  }
}

// Any reader's bit set? Looks at one word after another: a reader whose bit appears behind the look
// sees the owner (us) and retreats.
inline bool HasReaders(const LWLock& lock) {
  const uint32_t words = t_lock_self.space->reader_words.load(std::memory_order_seq_cst);
  uint64_t all = 0;
  for (uint32_t i = 0; i < words; ++i) all |= lock.readers()[i].load(std::memory_order_seq_cst);
  return all != 0;
}

// The lock is owned by somebody else: wait for it, own it, wait until the readers have left. False,
// and not owned, if there is a condition and it turned false.
bool AcquireExclusiveSlow(LWLock& lock, const LockCondition* condition = nullptr);
// Owning the word, wait until the readers have left.
void DrainReadersSlow(LWLock& lock);
// Own reader bit set, but somebody owns the lock: retreat, wait, come back. False, and the bit
// cleared, if there is a condition and it turned false.
bool AcquireSharedSlow(LWLock& lock, const LockCondition* condition = nullptr);

}  // namespace warren
