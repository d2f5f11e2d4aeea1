#include "lwlock/lock_wait.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string>

#include "base/clock.h"
#include "base/function_ref.h"
#include "base/log.h"
#include "lwlock/slot_names.h"
#include "lwlock/wait_hook.h"

namespace warren {
namespace {

std::string DescribeHolders(const LWLock& lock) {
  std::string holders;
  const uint32_t owner = lock.word.load() & LWLock::kOwnerMask;
  if (owner != 0) holders = NameSlot(owner - 1) + " exclusively";
  for (uint32_t w = 0; w < ReaderWords(t_lock_self.space->slot_count); ++w) {
    for (uint64_t bits = lock.readers()[w].load(); bits != 0; bits &= bits - 1) {
      const SlotIndex slot =
          w * kSlotsPerReaderWord + static_cast<uint32_t>(std::countr_zero(bits));
      holders += (holders.empty() ? "" : ", ") + NameSlot(slot) + " shared";
    }
  }
  return holders.empty() ? "nobody" : holders;
}

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Between two looks of one who spins.
constexpr uint32_t kMostPauses = 16;

// A look at a word of the lock.
using Look = FunctionRef<uint32_t()>;

// The wait of one acquire: shows the wait event and counts it, from the first need to wait on.
class LockWait {
 public:
  explicit LockWait(LWLock& lock) : lock_(lock) {}
  ~LockWait() {
    if (began_ns_ == 0) return;
    t_lock_self.proc->wait_event.store(event_before_, std::memory_order_relaxed);
    TrancheCounters& counters = CountersOf(lock_);
    AddToCounter(counters.waited, 1);
    AddToCounter(counters.wait_ns, static_cast<uint64_t>(MonotonicNs() - began_ns_));
  }
  LockWait(const LockWait&) = delete;
  LockWait& operator=(const LockWait&) = delete;

  // Before one more look during the spinning phase; false when it is time to sleep.
  bool SpinOnce() {
    Begin();
    if (spins_ >= GetLockTuning().spin_rounds) return false;
    // Each look takes the lock's cache line from its owner: ever more rarely, up to a point.
    const uint32_t pauses = std::min(spins_ + 4, kMostPauses);
    for (uint32_t i = 0; i < pauses; ++i) Pause();
    spins_ += pauses;
    return true;
  }

  // Woken sleepers are handed what newcomers may not have.
  bool HasSlept() const { return slept_; }
  bool IsOutOfPatience() const {
    return slept_ && MonotonicNs() - began_ns_ > GetLockTuning().patience_ns;
  }

  // Sleeps while the word at `address`, which is what `slept_on` looks at, has `value`. There is
  // nothing left to wait for when `awaited` is 0.
  void Sleep(FutexAddress address, Look slept_on, uint32_t value, uint32_t bits, Look awaited) {
    Begin();
    spins_ = 0;  // whoever was woken has good reason to look a few times
    slept_ = true;
    const int64_t deadline_ns = MonotonicNs() + GetLockTuning().warn_timeout_ns;
    if (FutexWaitHooked(address, value, deadline_ns, bits)) return;
    // Timed out: never unbounded, so that a wake-up that died with its sender is only a delay.
    const bool lost = IsWakeUpLost(address, slept_on, bits, awaited);
    if (lost) AddToCounter(t_lock_self.proc->timeouts_on_free_lock, 1);
    if (!lost && awaited() == 0) return;
    // Ever more rarely: many may wait for one that hangs.
    const int64_t waited_ns = MonotonicNs() - began_ns_;
    if (waited_ns < next_log_ns_) return;
    next_log_ns_ = 2 * waited_ns;
    log::Warning("waiting for lwlock {} {} for {} ms, held by {}", GetTranche(lock_.tranche).name,
                 lock_.instance, waited_ns / 1'000'000, DescribeHolders(lock_));
  }

 private:
  void Begin() {
    if (began_ns_ != 0) return;
    began_ns_ = MonotonicNs();
    std::atomic<uint16_t>& event = t_lock_self.proc->wait_event;
    event_before_ = event.load(std::memory_order_relaxed);
    t_lock_self.proc->wait_began_ns.store(began_ns_, std::memory_order_relaxed);
    event.store(LWLockWaitEvent(lock_.tranche), std::memory_order_relaxed);
  }

  // After a time-out: a free lock alone proves nothing, since the wake-up may be on its way, or may
  // have gone to another sleeper that was not given a processor yet. It is lost if nobody takes the
  // lock and nobody wakes us for a good while longer.
  static bool IsWakeUpLost(FutexAddress address, Look slept_on, uint32_t bits, Look awaited) {
    constexpr int kLooks = 8;
    const int64_t pause_ns = GetLockTuning().warn_timeout_ns / (2 * kLooks);
    for (int i = 0; i < kLooks; ++i) {
      const uint32_t value = slept_on();
      if (awaited() != 0) return false;
      if (FutexWaitHooked(address, value, MonotonicNs() + pause_ns, bits)) return false;
    }
    return awaited() == 0;
  }

  LWLock& lock_;
  int64_t began_ns_ = 0;
  int64_t next_log_ns_ = 0;
  uint32_t spins_ = 0;
  uint16_t event_before_ = 0;
  bool slept_ = false;
};

// Sleeps until the next wake-up of this lock, if none has been counted since `wake_ups` was read.
// Not on the word: an owner that has released and taken it again since, or another sleeper's flag,
// makes it look as it did before.
void SleepForWord(LWLock& lock, LockWait& wait, uint32_t wake_ups, uint32_t bits) {
  TestPoint(LockTestPoint::kBeforeWordSleep);
  wait.Sleep(
      FutexWord(lock.wake_ups), [&] { return lock.wake_ups.load(); }, wake_ups, bits,
      [&] { return lock.word.load(); });
  TestPoint(LockTestPoint::kSleptForWord);
}

// Sleeps until the half of a reader word in which readers were seen has changed.
void SleepOnReaders(const std::atomic<uint64_t>& word, LockWait& wait, uint64_t seen) {
  TestPoint(LockTestPoint::kBeforeDrainSleep);
  const uint64_t bit = uint64_t{1} << std::countr_zero(seen);
  const auto half = [bit](uint64_t bits) {
    return static_cast<uint32_t>((bits & FutexHalfMask(bit)) >> (bit >> 32 != 0 ? 32 : 0));
  };
  const auto now = [&] { return half(word.load()); };
  wait.Sleep(FutexHalf(word, bit), now, half(seen), kFutexAny, now);
  TestPoint(LockTestPoint::kSleptDraining);
}

// The owner's wait until every reader that was inside has left.
void DrainReaders(LWLock& lock, LockWait& wait) {
  const uint32_t words = t_lock_self.space->reader_words.load(std::memory_order_seq_cst);
  for (uint32_t i = 0; i < words; ++i) {
    const std::atomic<uint64_t>& word = lock.readers()[i];
    for (uint64_t seen = word.load(std::memory_order_seq_cst); seen != 0;
         seen = word.load(std::memory_order_seq_cst)) {
      if (!wait.SpinOnce()) SleepOnReaders(word, wait, seen);
    }
  }
}

// May one who sees the word so have the lock?
bool IsFree(uint32_t seen, const LockWait& wait) {
  return seen == 0 || ((seen & LWLock::kOwnerMask) == 0 && wait.HasSlept());
}

// Sets a waiter flag on a taken word. False if the word changed meanwhile.
bool AddWaiterFlag(LWLock& lock, const LockWait& wait, uint32_t seen, uint32_t flag) {
  if (wait.IsOutOfPatience()) flag |= LWLock::kHandOff;
  if ((seen & flag) == flag) return true;
  if (!lock.word.compare_exchange_strong(seen, seen | flag, std::memory_order_seq_cst))
    return false;
  TestPoint(LockTestPoint::kWaiterFlagSet);
  return true;
}

// One exclusive waiter: it will take the lock with the waiter flag set and so wake the next.
long WakeExclusive(LWLock& lock, uint32_t flags) {
  if ((flags & LWLock::kExclusiveWaiters) == 0) return 0;
  const long woken = FutexWake(FutexWord(lock.wake_ups), 1, kWakeExclusive);
  TestPoint(LockTestPoint::kExclusiveWoken);
  return woken;
}

long WakeShared(LWLock& lock, uint32_t flags) {
  if ((flags & LWLock::kSharedWaiters) == 0) return 0;
  const long woken = FutexWake(FutexWord(lock.wake_ups), INT_MAX, kWakeShared);
  TestPoint(LockTestPoint::kSharedWoken);
  return woken;
}

// Ends a reservation of which nobody is there to make use: newcomers may enter again, and those who
// went to sleep over it are woken.
void Unreserve(LWLock& lock) {
  uint32_t seen = lock.word.load(std::memory_order_seq_cst);
  do {
    if (seen == 0 || (seen & LWLock::kOwnerMask) != 0) return;
  } while (!lock.word.compare_exchange_weak(seen, 0, std::memory_order_seq_cst));
  TestPoint(LockTestPoint::kUnreserved);
  CountWakeUp(lock);
  WakeExclusive(lock, seen);
  WakeShared(lock, seen);
}

// Takes a free or reserved word. False if it changed meanwhile.
bool TakeWord(LWLock& lock, const LockWait& wait, uint32_t seen) {
  uint32_t taken = t_lock_self.owner;
  // Those who sleep over a reservation still do.
  taken |= seen & (LWLock::kExclusiveWaiters | LWLock::kSharedWaiters);
  // Having slept, we may not be the only one: the flag makes our release wake the next.
  if (wait.HasSlept()) taken |= LWLock::kExclusiveWaiters;
  // Who stood in the queue behind us has probably waited for as long.
  if (wait.IsOutOfPatience()) taken |= LWLock::kHandOff;
  return lock.word.compare_exchange_strong(seen, taken, std::memory_order_seq_cst);
}

// After a reader's look at the word that follows the setting of its bit: may it stay?
bool MayStay(LWLock& lock, const LockWait& wait) {
  const uint32_t seen = lock.word.load(std::memory_order_seq_cst);
  if (!IsFree(seen, wait)) return false;
  // Reserved for readers alone: the first one lets everybody in again.
  if (seen != 0 && (seen & LWLock::kExclusiveTurn) == 0) Unreserve(lock);
  return true;
}

bool Holds(const LockCondition* condition) { return condition == nullptr || condition->Holds(); }

}  // namespace

void ClearOwnerSlow(LWLock& lock, uint32_t seen) {
  DCHECK((seen & LWLock::kOwnerMask) == t_lock_self.owner);
  uint32_t left;
  do {
    left = (seen & LWLock::kHandOff) == 0            ? 0
           : (seen & LWLock::kExclusiveWaiters) == 0 ? LWLock::kHandOff
                                                     : LWLock::kHandOff | LWLock::kExclusiveTurn;
  } while (!lock.word.compare_exchange_weak(seen, left, std::memory_order_seq_cst));
  TestPoint(LockTestPoint::kWordCleared);
  CountWakeUp(lock);
  const long shared_woken = WakeShared(lock, seen);
  const long exclusive_woken = WakeExclusive(lock, seen);
  if (left == 0) return;
  // Handed over: newcomers stay out until one of those woken makes use of it. The exclusive one, if
  // there should be one: only it ends its turn.
  const bool exclusive_turn = (left & LWLock::kExclusiveTurn) != 0;
  if ((exclusive_turn ? exclusive_woken : shared_woken) == 0) Unreserve(lock);
}

bool AcquireExclusiveSlow(LWLock& lock, const LockCondition* condition) {
  LockWait wait(lock);
  for (;;) {
    // Before the word and the condition: who changes one of them for us counts a wake-up after it.
    const uint32_t wake_ups = lock.wake_ups.load(std::memory_order_seq_cst);
    const uint32_t seen = lock.word.load(std::memory_order_seq_cst);
    if (IsFree(seen, wait)) {
      if (TakeWord(lock, wait, seen)) break;
      continue;
    }
    if (wait.SpinOnce() || !AddWaiterFlag(lock, wait, seen, LWLock::kExclusiveWaiters)) continue;
    // After the flag, which makes the owner's release wake the next: a wake-up that we give up with
    // is not lost.
    if (!Holds(condition)) return false;
    SleepForWord(lock, wait, wake_ups, kWakeExclusive);
  }
  TestPoint(LockTestPoint::kWordTaken);
  // Before the drain, since those who read may be after something else; as the owner we keep the
  // condition from changing.
  if (!Holds(condition)) {
    ClearOwner(lock);
    return false;
  }
  DrainReaders(lock, wait);
  return true;
}

void DrainReadersSlow(LWLock& lock) {
  LockWait wait(lock);
  DrainReaders(lock, wait);
}

bool AcquireSharedSlow(LWLock& lock, const LockCondition* condition) {
  LockWait wait(lock);
  for (;;) {
    // Retreat, so that the owner can drain, then wait until the word changes.
    ClearReaderBit(lock);
    for (;;) {  // in the same order as in AcquireExclusiveSlow
      const uint32_t wake_ups = lock.wake_ups.load(std::memory_order_seq_cst);
      const uint32_t seen = lock.word.load(std::memory_order_seq_cst);
      if (IsFree(seen, wait)) break;
      if (wait.SpinOnce() || !AddWaiterFlag(lock, wait, seen, LWLock::kSharedWaiters)) continue;
      if (!Holds(condition)) return false;
      SleepForWord(lock, wait, wake_ups, kWakeShared);
    }
    SetReaderBit(lock);
    if (!MayStay(lock, wait)) continue;
    if (Holds(condition)) return true;
    ClearReaderBit(lock);
    return false;
  }
}

}  // namespace warren
