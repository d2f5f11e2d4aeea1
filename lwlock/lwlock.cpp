#include "lwlock/lwlock.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "lwlock/lock_self.h"
#include "lwlock/lock_wait.h"

namespace warren {

constinit thread_local LockSelf t_lock_self;

namespace {

#ifndef NDEBUG
// The lock order is the table's: a lock may be waited for only above everything that is held.
void CheckRank(const LWLock& lock, const SourceLocation& where) {
  const LockSelf& self = t_lock_self;
  const Tranche& wanted = GetTranche(lock.tranche);
  for (uint32_t i = 0; i < self.held_count; ++i) {
    const LWLock& held = *LockOf(self.proc->held[i].load(std::memory_order_relaxed));
    const Tranche& have = GetTranche(held.tranche);
    const SourceLocation& since = self.where[i];
    CHECK(&held != &lock, "{}:{} wants {} {}, which it holds since {}:{}", where.file_name(),
          where.line(), wanted.name, lock.instance, since.file_name(), since.line());
    const bool in_order = have.rank < wanted.rank ||
                          (have.rank == wanted.rank && wanted.several == Several::kSameRank);
    CHECK(in_order,
          "lock order: {}:{} wants {} {} (rank {}) while holding {} {} (rank {}) since {}:{}",
          where.file_name(), where.line(), wanted.name, lock.instance, wanted.rank, have.name,
          held.instance, have.rank, since.file_name(), since.line());
  }
}
#else
void CheckRank(const LWLock&, const SourceLocation&) {}
#endif

bool OwnAndDrain(LWLock& lock, const LockCondition& condition) {
  uint32_t expected = 0;
  if (!lock.word.compare_exchange_strong(expected, t_lock_self.owner, std::memory_order_seq_cst)) {
    return AcquireExclusiveSlow(lock, &condition);
  }
  TestPoint(LockTestPoint::kWordTaken);
  if (!condition.Holds()) {
    ClearOwner(lock);
    return false;
  }
  if (HasReaders(lock)) DrainReadersSlow(lock);
  return true;
}

bool EnterAsReader(LWLock& lock, const LockCondition& condition) {
  SetReaderBit(lock);
  if (lock.word.load(std::memory_order_seq_cst) != 0) return AcquireSharedSlow(lock, &condition);
  if (condition.Holds()) return true;
  ClearReaderBit(lock);
  return false;
}

// Not to be had without waiting, or held by ourselves (an own reader bit stands in between acquires
// only if we hold the lock). Without this look a try would disturb those who wait and drain, and
// one for a lock of our own would set `pending` over it, which says that we are not inside.
bool CannotTry(const LWLock& lock) {
  const LockSelf& self = t_lock_self;
  return lock.word.load(std::memory_order_relaxed) != 0 ||
         (lock.readers()[self.reader_word].load(std::memory_order_relaxed) & self.reader_bit) != 0;
}

// What the uncontended path leaves by tail calls: without them it has no registers to save.
[[gnu::noinline]] void OwnAndEnter(LWLock& lock, SourceLocation where) {
  AcquireExclusiveSlow(lock);
  TestPoint(LockTestPoint::kDrained);
  EnterHeld(lock, LockMode::kExclusive, where);
}
[[gnu::noinline]] void DrainAndEnter(LWLock& lock, SourceLocation where) {
  DrainReadersSlow(lock);
  TestPoint(LockTestPoint::kDrained);
  EnterHeld(lock, LockMode::kExclusive, where);
}
[[gnu::noinline]] void ReadAndEnter(LWLock& lock, SourceLocation where) {
  AcquireSharedSlow(lock);
  EnterHeld(lock, LockMode::kShared, where);
}
[[gnu::noinline]] void WakeAndEnd(LWLock& lock, uint32_t seen) {
  ClearOwnerSlow(lock, seen);
  EndPending();
  TestPoint(LockTestPoint::kReleased);
}
[[gnu::noinline]] void ReleaseEarlierExclusive(LWLock& lock) {
  LeaveHeld(lock, LockMode::kExclusive);
  ClearOwner(lock);
  EndPending();
  TestPoint(LockTestPoint::kReleased);
}
[[gnu::noinline]] void ReleaseEarlierShared(LWLock& lock) {
  LeaveHeld(lock, LockMode::kShared);
  ClearReaderBit(lock);
  EndPending();
  TestPoint(LockTestPoint::kReleased);
}

}  // namespace

void LeaveHeld(LWLock& lock, LockMode mode) {
  LockSelf& self = t_lock_self;
  LockProc& proc = *self.proc;
  const HeldLock entry = MakeHeldLock(&lock, mode);
  uint32_t i = self.held_count;
  do {
    CHECK(i != 0, "releasing {} {}, which is not held so", GetTranche(lock.tranche).name,
          lock.instance);
    --i;
  } while (proc.held[i].load(std::memory_order_relaxed) != entry);
  StoreBetween(proc.pending_lock, &lock);
  TestPoint(LockTestPoint::kReleaseBegun);
  const uint32_t last = --self.held_count;
  // The last entry moves down into the gap: stored in its new place before it leaves the old one,
  // so that at every moment each held lock stands somewhere (twice does no harm).
  if (i != last) {
    StoreBefore(proc.held[i], proc.held[last].load(std::memory_order_relaxed));
    TestPoint(LockTestPoint::kHeldMoved);
#ifndef NDEBUG
    self.where[i] = self.where[last];
#endif
  }
  proc.held[last].store(0, std::memory_order_relaxed);
  TestPoint(LockTestPoint::kHeldLeft);
}

LWLock* InitLWLock(void* at, uint32_t slot_count, TrancheId tranche, uint32_t instance) {
  auto* lock = new (at)
      LWLock{.word = 0, .wake_ups = 0, .instance = instance, .tranche = tranche, .reserved = 0};
  for (uint32_t i = 0; i < ReaderWords(slot_count); ++i) {
    new (&lock->readers()[i]) std::atomic<uint64_t>(0);
  }
  return lock;
}

void BindLockProc(LockSpace* space, LockProc* proc, SlotIndex slot) {
  CHECK(slot < space->slot_count, "slot {} of {}", slot, space->slot_count);
  CHECK(space->reader_words.load() >= ReaderWords(slot + 1), "slot {} is not covered", slot);
  LockSelf self;
  self.space = space;
  self.proc = proc;
  self.owner = slot + 1;
  self.reader_word = slot / kSlotsPerReaderWord;
  self.reader_bit = uint64_t{1} << (slot % kSlotsPerReaderWord);
  // A slot that is bound twice by one process (tests) keeps what it holds.
  while (self.held_count < kMaxHeldLocks && proc->held[self.held_count].load() != 0) {
    ++self.held_count;
  }
  t_lock_self = self;
}

void UnbindLockProc() { t_lock_self = LockSelf(); }

LockTuning& GetLockTuning() {
  static LockTuning tuning;
  return tuning;
}

void AcquireExclusive(LWLock& lock, SourceLocation where) NO_THREAD_SAFETY_ANALYSIS {
  CheckRank(lock, where);
  BeginAcquire(lock);
  uint32_t expected = 0;
  if (!lock.word.compare_exchange_strong(expected, t_lock_self.owner, std::memory_order_seq_cst))
      [[unlikely]] {
    return OwnAndEnter(lock, where);
  }
  TestPoint(LockTestPoint::kWordTaken);
  if (HasReaders(lock)) [[unlikely]]
    return DrainAndEnter(lock, where);
  TestPoint(LockTestPoint::kDrained);
  EnterHeld(lock, LockMode::kExclusive, where);
}

void AcquireShared(LWLock& lock, SourceLocation where) NO_THREAD_SAFETY_ANALYSIS {
  CheckRank(lock, where);
  BeginAcquire(lock);
  SetReaderBit(lock);
  if (lock.word.load(std::memory_order_seq_cst) != 0) [[unlikely]]
    return ReadAndEnter(lock, where);
  EnterHeld(lock, LockMode::kShared, where);
}

bool AcquireExclusiveWhile(LWLock& lock, const LockCondition& condition,
                           SourceLocation where) NO_THREAD_SAFETY_ANALYSIS {
  CheckRank(lock, where);
  BeginAcquire(lock);
  if (!OwnAndDrain(lock, condition)) {
    EndPending();
    return false;
  }
  TestPoint(LockTestPoint::kDrained);
  EnterHeld(lock, LockMode::kExclusive, where);
  return true;
}

bool AcquireSharedWhile(LWLock& lock, const LockCondition& condition,
                        SourceLocation where) NO_THREAD_SAFETY_ANALYSIS {
  CheckRank(lock, where);
  BeginAcquire(lock);
  if (!EnterAsReader(lock, condition)) {
    EndPending();
    return false;
  }
  EnterHeld(lock, LockMode::kShared, where);
  return true;
}

void RouseWaiters(LWLock& lock) {
  DCHECK(HoldsExclusive(lock));
  // Whatever the flags in the word: a release that wakes one sleeper takes them from all. A death
  // before the wake-up is made good by the repair, which wakes everybody on a held lock.
  CountWakeUp(lock);
  FutexWake(FutexWord(lock.wake_ups), INT_MAX);
}

bool TryAcquireExclusive(LWLock& lock, SourceLocation where) NO_THREAD_SAFETY_ANALYSIS {
  if (CannotTry(lock)) return false;
  BeginAcquire(lock);
  uint32_t expected = 0;
  if (lock.word.compare_exchange_strong(expected, t_lock_self.owner, std::memory_order_seq_cst)) {
    TestPoint(LockTestPoint::kWordTaken);
    if (!HasReaders(lock)) {
      EnterHeld(lock, LockMode::kExclusive, where);
      return true;
    }
    ClearOwner(lock);  // others saw us as owner, and may sleep by now
  }
  EndPending();
  return false;
}

bool TryAcquireShared(LWLock& lock, SourceLocation where) NO_THREAD_SAFETY_ANALYSIS {
  if (CannotTry(lock)) return false;
  BeginAcquire(lock);
  SetReaderBit(lock);
  if (lock.word.load(std::memory_order_seq_cst) == 0) {
    EnterHeld(lock, LockMode::kShared, where);
    return true;
  }
  ClearReaderBit(lock);
  EndPending();
  return false;
}

void ReleaseExclusive(LWLock& lock) NO_THREAD_SAFETY_ANALYSIS {
  if (!IsHeldLast(MakeHeldLock(&lock, LockMode::kExclusive))) [[unlikely]] {
    return ReleaseEarlierExclusive(lock);
  }
  LeaveHeldLast(lock);
  uint32_t seen = t_lock_self.owner;
  if (!lock.word.compare_exchange_strong(seen, 0, std::memory_order_seq_cst)) [[unlikely]] {
    return WakeAndEnd(lock, seen);
  }
  TestPoint(LockTestPoint::kWordCleared);
  EndPending();
  TestPoint(LockTestPoint::kReleased);
}

void ReleaseShared(LWLock& lock) NO_THREAD_SAFETY_ANALYSIS {
  if (!IsHeldLast(MakeHeldLock(&lock, LockMode::kShared))) [[unlikely]] {
    return ReleaseEarlierShared(lock);
  }
  LeaveHeldLast(lock);
  ClearReaderBit(lock);
  EndPending();
  TestPoint(LockTestPoint::kReleased);
}

void Downgrade(LWLock& lock, SourceLocation where) {
  LeaveHeld(lock, LockMode::kExclusive);
  SetReaderBit(lock);  // before the word is let go: nobody else can be inside in between
  ClearOwner(lock);
  EnterHeld(lock, LockMode::kShared, where);
  TestPoint(LockTestPoint::kReleased);
}

bool HoldsExclusive(const LWLock& lock) {
  const auto& held = t_lock_self.proc->held;
  const HeldLock entry = MakeHeldLock(&lock, LockMode::kExclusive);
  return std::any_of(held.begin(), held.begin() + t_lock_self.held_count,
                     [&](const auto& e) { return e.load(std::memory_order_relaxed) == entry; });
}

bool HoldsAny(const LWLock& lock) {
  const auto& held = t_lock_self.proc->held;
  return std::any_of(held.begin(), held.begin() + t_lock_self.held_count, [&](const auto& e) {
    return LockOf(e.load(std::memory_order_relaxed)) == &lock;
  });
}

size_t HeldLockCount() { return t_lock_self.held_count; }

ScopedWait::ScopedWait(WaitEvent event) : before_(0) {
  if (t_lock_self.proc == nullptr) return;
  std::atomic<uint16_t>& shown = t_lock_self.proc->wait_event;
  before_ = shown.load(std::memory_order_relaxed);
  shown.store(static_cast<uint16_t>(event), std::memory_order_relaxed);
}

ScopedWait::~ScopedWait() {
  if (t_lock_self.proc == nullptr) return;
  t_lock_self.proc->wait_event.store(before_, std::memory_order_relaxed);
}

std::string_view WaitEventText(uint16_t wait_event) {
  if ((wait_event & 0x8000u) != 0) {
    return GetTranche(static_cast<TrancheId>(wait_event & 0x7fffu)).name;
  }
  return WaitEventName(static_cast<WaitEvent>(wait_event));
}

}  // namespace warren
