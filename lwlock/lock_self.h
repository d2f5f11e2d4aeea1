// Who is the calling process to the locks, and what does it enter into its slot when?
//
// Internal to lwlock/: the bookkeeping that makes every hold attributable. See lock_proc.h for what
// others read of it.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/check.h"
#include "base/ordered_store.h"
#include "lwlock/lock_proc.h"
#include "lwlock/lwlock.h"
#include "lwlock/test_point.h"

namespace warren {

// Thread-local only for the tests, which run the same bodies as threads; the server has one thread
// per process.
struct LockSelf {
  LockSpace* space = nullptr;
  LockProc* proc = nullptr;
  uint32_t owner = 0;  // slot + 1
  uint32_t reader_word = 0;
  uint64_t reader_bit = 0;
  uint32_t held_count = 0;  // entries in use; the truth is proc->held
#ifndef NDEBUG
  SourceLocation where[kMaxHeldLocks];
#endif
};
extern constinit thread_local LockSelf t_lock_self;

// Counters have one writer, so that a plain addition is enough.
inline void AddToCounter(std::atomic<uint64_t>& counter, uint64_t n) {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

inline TrancheCounters& CountersOf(const LWLock& lock) {
  return t_lock_self.proc->tranches[static_cast<size_t>(lock.tranche)];
}

// From here to EndPending() a death is a half-done acquire or release of this lock and of no other.
// StoreBetween: what was done inside the lock comes before it (else it would count as not begun),
// what is done to the lock comes after it.
inline void BeginPending(LWLock& lock) {
  StoreBetween(t_lock_self.proc->pending_lock, &lock);
  TestPoint(LockTestPoint::kPendingSet);
}

// What is done inside the lock comes after it: a death there must count as inside.
inline void EndPending() {
  StoreBetween(t_lock_self.proc->pending_lock, static_cast<LWLock*>(nullptr));
}

inline void BeginAcquire(LWLock& lock) {
  CHECK(t_lock_self.held_count < kMaxHeldLocks, "too many lwlocks held");
  BeginPending(lock);
}

inline void EnterHeld(LWLock& lock, LockMode mode, [[maybe_unused]] const SourceLocation& where) {
  LockSelf& self = t_lock_self;
  // Before pending is cleared: a death in between must still find the lock somewhere.
  self.proc->held[self.held_count].store(MakeHeldLock(&lock, mode), std::memory_order_relaxed);
#ifndef NDEBUG
  self.where[self.held_count] = where;
#endif
  ++self.held_count;
  TestPoint(LockTestPoint::kHeldEntered);
  EndPending();
  AddToCounter(CountersOf(lock).acquired, 1);
  TestPoint(LockTestPoint::kAcquired);
}

// Sets pending, then takes the lock out of held[].
inline void LeaveHeld(LWLock& lock, LockMode mode) {
  LockSelf& self = t_lock_self;
  const HeldLock entry = MakeHeldLock(&lock, mode);
  uint32_t i = self.held_count;
  do {
    CHECK(i != 0, "releasing {} {}, which is not held so", GetTranche(lock.tranche).name,
          lock.instance);
    --i;
  } while (self.proc->held[i].load(std::memory_order_relaxed) != entry);
  BeginPending(lock);
  TestPoint(LockTestPoint::kReleaseBegun);
  --self.held_count;
  // The last entry moves down into the gap: stored in its new place before it leaves the old one,
  // so that at every moment each held lock stands somewhere (twice does no harm).
  if (i != self.held_count) {
    StoreBefore(self.proc->held[i],
                self.proc->held[self.held_count].load(std::memory_order_relaxed));
    TestPoint(LockTestPoint::kHeldMoved);
#ifndef NDEBUG
    self.where[i] = self.where[self.held_count];
#endif
  }
  self.proc->held[self.held_count].store(0, std::memory_order_relaxed);
  TestPoint(LockTestPoint::kHeldLeft);
}

}  // namespace warren
