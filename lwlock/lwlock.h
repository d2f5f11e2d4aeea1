// How do processes keep out of each other's way in shared memory, so that a holder's death can be
// repaired?
//
// A process-shared reader/writer lock in which every holder is attributable. The protocol is that
// of lwlock.pml beside this file, which is model-checked; change the model first.
//
//   word        meaning                                   who may change it
//   0           no exclusive owner                        anybody, to own slot + 1
//   s+1         slot s owns it (or waits for readers      s, to 0; sleepers, to add a waiter flag
//               to drain: see its pending_lock)
//   s+1 | W|R   the same, exclusive / shared waiters sleep (or: slot s slept, and others may)
//   s+1 | H     the same, and somebody has waited for long: hand it over
//   H | X?      free, but only for those who have slept; X: an exclusive one was woken to take it
//   reader bit  slot s reads (or is about to look at the word and retreat)   s alone
//
// Locking: ranks (tranche_list.def) order all acquires; debug builds check. Nobody may wait for a
// client, a key lock, or a disk it need not wait for while holding an LWLock.
// Limits: kMaxHeldLocks per process; not recursive.
// See also: repair.h (what is done after a holder's death), README.md.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/ids.h"
#include "base/source_location.h"
#include "base/thread_annotations.h"
#include "lwlock/lock_proc.h"
#include "lwlock/tranche.h"

namespace warren {

// The head of a lock in the segment; its reader words follow it in memory. Placed by InitLWLock()
// in LWLockBytes() bytes, never anywhere else.
struct alignas(16) CAPABILITY("lwlock") LWLock {
  static constexpr uint32_t kExclusiveWaiters = 1u << 31;
  static constexpr uint32_t kSharedWaiters = 1u << 30;
  static constexpr uint32_t kHandOff = 1u << 29;
  static constexpr uint32_t kExclusiveTurn = 1u << 28;
  static constexpr uint32_t kOwnerMask = kExclusiveTurn - 1;

  std::atomic<uint32_t> word;
  // Of sleepers for the word: what they sleep on, since the word may come back to a former value.
  std::atomic<uint32_t> wake_ups;
  uint32_t instance;  // which one of its tranche, for messages (partition, buffer index)
  TrancheId tranche;
  uint16_t reserved;

  std::atomic<uint64_t>* readers() { return reinterpret_cast<std::atomic<uint64_t>*>(this + 1); }
  const std::atomic<uint64_t>* readers() const {
    return reinterpret_cast<const std::atomic<uint64_t>*>(this + 1);
  }
};
static_assert(sizeof(LWLock) == 16);
static_assert(std::atomic<uint64_t>::is_always_lock_free &&
              std::atomic<uint32_t>::is_always_lock_free);

// Bytes of one lock for `slot_count` process slots, a multiple of the cache line.
constexpr size_t LWLockBytes(uint32_t slot_count) {
  const size_t raw = sizeof(LWLock) + ReaderWords(slot_count) * sizeof(uint64_t);
  return (raw + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes;
}

// Constructs a free lock at `at` (LWLockBytes() bytes, cache-line aligned).
LWLock* InitLWLock(void* at, uint32_t slot_count, TrancheId tranche, uint32_t instance);

// An array of locks of one tranche in the segment.
class LWLockArray {
 public:
  LWLockArray() = default;
  LWLockArray(std::byte* base, uint32_t slot_count)
      : base_(base), stride_(LWLockBytes(slot_count)) {}
  LWLock& operator[](size_t i) const { return *reinterpret_cast<LWLock*>(base_ + i * stride_); }

 private:
  std::byte* base_ = nullptr;
  size_t stride_ = 0;
};

// Says who the calling process (in tests: thread) is. Must precede its first acquire; `proc` is all
// zero for a slot's first process, and CoverSlot() was called for `slot`.
void BindLockProc(LockSpace* space, LockProc* proc, SlotIndex slot);
// Forgets that: the memory is about to be unmapped.
void UnbindLockProc();

// Of this process, changed when the settings change.
struct LockTuning {
  int64_t warn_timeout_ns = 1'000'000'000;  // how long a sleeper waits before it logs who holds it
  int64_t patience_ns = 20'000'000;  // how long a waiter lets itself be overtaken by newcomers
  uint32_t spin_rounds = 60;         // pauses between looks at a taken lock, before sleeping
};
LockTuning& GetLockTuning();

// Wait as long as needed. Can sleep.
void AcquireExclusive(LWLock& lock, SourceLocation where = SourceLocation::current())
    ACQUIRE_EXCLUSIVE(lock);
void AcquireShared(LWLock& lock, SourceLocation where = SourceLocation::current())
    ACQUIRE_SHARED(lock);

// Why a lock is wanted, where that can change while one waits: (*word & mask) == value. It is true
// at first, becomes false only under the exclusive lock in question, and whoever makes it so calls
// RouseWaiters before it waits for anything else.
struct LockCondition {
  const std::atomic<uint64_t>* word;
  uint64_t mask;
  uint64_t value;

  bool Holds() const { return (word->load(std::memory_order_seq_cst) & mask) == value; }
};

// As above, but false, and not held, when the condition is found false: a lock that has come to
// guard something else is not waited for, which the lock order does not allow for. When true, the
// condition holds until the release.
bool AcquireExclusiveWhile(LWLock& lock, const LockCondition& condition,
                           SourceLocation where = SourceLocation::current())
    TRY_ACQUIRE_EXCLUSIVE(true, lock);
bool AcquireSharedWhile(LWLock& lock, const LockCondition& condition,
                        SourceLocation where = SourceLocation::current())
    TRY_ACQUIRE_SHARED(true, lock);

// By the exclusive owner: all that sleep for the lock look at their condition again.
void RouseWaiters(LWLock& lock);

// True and held, or false at once; exempt from the rank check. False also if the calling process
// holds the lock already, in whichever mode.
bool TryAcquireExclusive(LWLock& lock, SourceLocation where = SourceLocation::current())
    TRY_ACQUIRE_EXCLUSIVE(true, lock);
bool TryAcquireShared(LWLock& lock, SourceLocation where = SourceLocation::current())
    TRY_ACQUIRE_SHARED(true, lock);

void ReleaseExclusive(LWLock& lock) RELEASE_LOCK(lock);
void ReleaseShared(LWLock& lock) RELEASE_LOCK(lock);

// From exclusive to shared without anybody else in between. Never waits. What the lock guards must
// be whole: a death from here on is not repaired.
void Downgrade(LWLock& lock,
               SourceLocation where = SourceLocation::current()) NO_THREAD_SAFETY_ANALYSIS;

// Of the calling process.
bool HoldsExclusive(const LWLock& lock);
bool HoldsAny(const LWLock& lock);
size_t HeldLockCount();

class SCOPED_CAPABILITY ExclusiveLock {
 public:
  explicit ExclusiveLock(LWLock& lock, SourceLocation where = SourceLocation::current())
      ACQUIRE_EXCLUSIVE(lock)
      : lock_(lock) {
    AcquireExclusive(lock, where);
  }
  ~ExclusiveLock() RELEASE_LOCK() { ReleaseExclusive(lock_); }
  ExclusiveLock(const ExclusiveLock&) = delete;
  ExclusiveLock& operator=(const ExclusiveLock&) = delete;

 private:
  LWLock& lock_;
};

class SCOPED_CAPABILITY SharedLock {
 public:
  explicit SharedLock(LWLock& lock, SourceLocation where = SourceLocation::current())
      ACQUIRE_SHARED(lock)
      : lock_(lock) {
    AcquireShared(lock, where);
  }
  ~SharedLock() RELEASE_LOCK() { ReleaseShared(lock_); }
  SharedLock(const SharedLock&) = delete;
  SharedLock& operator=(const SharedLock&) = delete;

 private:
  LWLock& lock_;
};

// While it lives, this process is shown as waiting for `event`.
class ScopedWait {
 public:
  explicit ScopedWait(WaitEvent event);
  ~ScopedWait();
  ScopedWait(const ScopedWait&) = delete;
  ScopedWait& operator=(const ScopedWait&) = delete;

 private:
  uint16_t before_;
};

// What LockProc::wait_event holds during a wait for a lock of `tranche`.
constexpr uint16_t LWLockWaitEvent(TrancheId tranche) {
  return static_cast<uint16_t>(0x8000u | static_cast<uint16_t>(tranche));
}

// The name of what is in LockProc::wait_event.
std::string_view WaitEventText(uint16_t wait_event);

}  // namespace warren
