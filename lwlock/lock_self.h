// Who is the calling process to the locks, and what does it enter into its slot when?
//
// Internal to lwlock/: the bookkeeping that makes every hold attributable. See lock_proc.h for what
// others read of it.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/check.h"
#include "base/ordered_store.h"
#include "base/seeded_bug.h"
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

[[noreturn, gnu::cold, gnu::noinline]] inline void TooManyHeld() {
  CHECK(false, "more than {} lwlocks held", kMaxHeldLocks);
  __builtin_unreachable();
}

inline void BeginAcquire(LWLock& lock) {
  if (t_lock_self.held_count >= kMaxHeldLocks) [[unlikely]]
    TooManyHeld();
  BeginPending(lock);
}

inline void EnterHeld(LWLock& lock, LockMode mode, [[maybe_unused]] const SourceLocation& where) {
  LockSelf& self = t_lock_self;
  LockProc& proc = *self.proc;
  const uint32_t i = self.held_count;
  if (WARREN_SEEDED_BUG(held_too_late)) {
    StoreBetween(proc.pending_lock, static_cast<LWLock*>(nullptr));
  }
  // Before pending is cleared: a death in between must still find the lock somewhere.
  proc.held[i].store(MakeHeldLock(&lock, mode), std::memory_order_relaxed);
  TestPoint(LockTestPoint::kHeldEntered);
  StoreBetween(proc.pending_lock, static_cast<LWLock*>(nullptr));
  self.held_count = i + 1;
#ifndef NDEBUG
  self.where[i] = where;
#endif
  AddToCounter(proc.tranches[static_cast<size_t>(lock.tranche)].acquired, 1);
  TestPoint(LockTestPoint::kAcquired);
}

// Is it what was acquired last? Most releases are.
inline bool IsHeldLast(HeldLock entry) {
  const LockSelf& self = t_lock_self;
  const uint32_t last = self.held_count - 1;  // beyond any place if nothing is held
  return last < kMaxHeldLocks && self.proc->held[last].load(std::memory_order_relaxed) == entry;
}

// Sets pending, then takes a lock for which IsHeldLast() out of held[].
inline void LeaveHeldLast(LWLock& lock) {
  LockSelf& self = t_lock_self;
  LockProc& proc = *self.proc;
  const uint32_t last = self.held_count - 1;
  StoreBetween(proc.pending_lock, &lock);
  TestPoint(LockTestPoint::kReleaseBegun);
  proc.held[last].store(0, std::memory_order_relaxed);
  self.held_count = last;
  TestPoint(LockTestPoint::kHeldLeft);
}

// The same for a lock wherever it stands.
void LeaveHeld(LWLock& lock, LockMode mode);

}  // namespace warren
