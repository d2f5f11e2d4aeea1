#include "lwlock/lwlock.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/ordered_store.h"
#include "lwlock/futex.h"
#include "lwlock/repair.h"

namespace warren {
namespace {

// Futex bits: who on a lock's word is woken.
constexpr uint32_t kWakeExclusive = 1;
constexpr uint32_t kWakeShared = 2;

// The calling process, as the locks know it. Thread-local only for the tests, which run the same
// bodies as threads; the server has one thread per process.
struct Self {
  LockSpace* space = nullptr;
  LockProc* proc = nullptr;
  uint32_t owner = 0;  // slot + 1
  uint32_t reader_word = 0;
  uint32_t reader_bit = 0;
  uint32_t held_count = 0;  // entries in use; the truth is proc->held
#ifndef NDEBUG
  SourceLocation where[kMaxHeldLocks];
#endif
};
thread_local Self t_self;

// Counters have one writer, so that a plain addition is enough.
void Add(std::atomic<uint64_t>& counter, uint64_t n) {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

TrancheCounters& CountersOf(const LWLock& lock) {
  return t_self.proc->tranches[static_cast<size_t>(lock.tranche)];
}

#ifndef NDEBUG
// The lock order is the table's: a lock may be waited for only above everything that is held.
void CheckRank(const LWLock& lock, const SourceLocation& where) {
  const Tranche& wanted = GetTranche(lock.tranche);
  for (uint32_t i = 0; i < t_self.held_count; ++i) {
    const LWLock& held = *LockOf(t_self.proc->held[i].load(std::memory_order_relaxed));
    const Tranche& have = GetTranche(held.tranche);
    CHECK(&held != &lock, "{}:{}: {} {} is already held, acquired at {}:{}", where.file_name(),
          where.line(), wanted.name, lock.instance, t_self.where[i].file_name(),
          t_self.where[i].line());
    const bool in_order = have.rank < wanted.rank ||
                          (have.rank == wanted.rank && wanted.several == Several::kSameRank);
    CHECK(in_order, "lock order: {}:{} wants {} {} (rank {}) while holding {} {} (rank {}) since {}:{}",
          where.file_name(), where.line(), wanted.name, lock.instance, wanted.rank, have.name,
          held.instance, have.rank, t_self.where[i].file_name(), t_self.where[i].line());
  }
}
#else
void CheckRank(const LWLock&, const SourceLocation&) {}
#endif

void BeginPending(LWLock& lock) {
  // Before the first store to the lock: from here to EndPending a death is a half-done acquire or
  // release of this lock, and of no other.
  StoreBefore(t_self.proc->pending_lock, &lock);
}

void EndPending() { StoreAfter(t_self.proc->pending_lock, static_cast<LWLock*>(nullptr)); }

void EnterHeld(LWLock& lock, LockMode mode, [[maybe_unused]] const SourceLocation& where) {
  Self& self = t_self;
  CHECK(self.held_count < kMaxHeldLocks, "too many lwlocks held");
  // Before pending is cleared: a death in between must still find the lock somewhere.
  self.proc->held[self.held_count].store(MakeHeldLock(&lock, mode), std::memory_order_relaxed);
#ifndef NDEBUG
  self.where[self.held_count] = where;
#endif
  ++self.held_count;
  EndPending();
  Add(CountersOf(lock).acquired, 1);
}

// Sets pending, then takes the lock out of held[].
void LeaveHeld(LWLock& lock, LockMode mode) {
  Self& self = t_self;
  const HeldLock entry = MakeHeldLock(&lock, mode);
  uint32_t i = self.held_count;
  do {
    CHECK(i != 0, "releasing {} {}, which is not held so", GetTranche(lock.tranche).name, lock.instance);
    --i;
  } while (self.proc->held[i].load(std::memory_order_relaxed) != entry);
  BeginPending(lock);
  --self.held_count;
  // Closing the gap moves the last entry down: stored in its new place before it leaves the old one,
  // so that at every moment each held lock stands somewhere (twice does no harm).
  const HeldLock last = self.proc->held[self.held_count].load(std::memory_order_relaxed);
  if (i != self.held_count) {
    StoreBefore(self.proc->held[i], last);
#ifndef NDEBUG
    self.where[i] = self.where[self.held_count];
#endif
  }
  self.proc->held[self.held_count].store(0, std::memory_order_relaxed);
}

uint32_t ReaderWordsInUse() { return t_self.space->reader_words.load(std::memory_order_seq_cst); }

// After clearing our reader bit: an owner may sleep until this word of readers is empty.
void WakeDrainer(LWLock& lock, uint32_t bits_before) {
  if (bits_before == t_self.reader_bit && lock.word.load(std::memory_order_seq_cst) != 0) {
    FutexWake(&lock.readers()[t_self.reader_word], INT_MAX);
  }
}

void SetReaderBit(LWLock& lock) {
  // seq_cst: partner of the owner's compare-and-swap and scan (AcquireExclusive). Either the owner's
  // scan sees this bit, or our next look at the word sees the owner.
  lock.readers()[t_self.reader_word].fetch_or(t_self.reader_bit, std::memory_order_seq_cst);
}

void ClearReaderBit(LWLock& lock) {
  const uint32_t before =
      lock.readers()[t_self.reader_word].fetch_and(~t_self.reader_bit, std::memory_order_seq_cst);
  WakeDrainer(lock, before);
}

// Gives up ownership of the word and wakes whoever sleeps on it: one exclusive waiter (it will take
// the lock with the waiter flag set and so wake the next) and all shared ones.
void ClearOwner(LWLock& lock) {
  const uint32_t before = lock.word.exchange(0, std::memory_order_seq_cst);
  DCHECK((before & LWLock::kOwnerMask) == t_self.owner);
  if ((before & LWLock::kExclusiveWaiters) != 0) FutexWake(&lock.word, 1, kWakeExclusive);
  if ((before & LWLock::kSharedWaiters) != 0) FutexWake(&lock.word, INT_MAX, kWakeShared);
}

void LogLongWait(const LWLock& lock, int64_t waited_ns) {
  const uint32_t owner = lock.word.load() & LWLock::kOwnerMask;
  std::string holders;
  if (owner != 0) holders = fmt::format("slot {} exclusively", owner - 1);
  for (uint32_t w = 0; w < ReaderWords(t_self.space->slot_count); ++w) {
    for (uint32_t bits = lock.readers()[w].load(); bits != 0; bits &= bits - 1) {
      fmt::format_to(std::back_inserter(holders), "{}slot {} shared", holders.empty() ? "" : ", ",
                     w * 32 + static_cast<uint32_t>(__builtin_ctz(bits)));
    }
  }
  log::Warning("waiting for lwlock {} {} for {} ms, held by {}", GetTranche(lock.tranche).name,
               lock.instance, waited_ns / 1'000'000, holders.empty() ? "nobody" : holders);
}

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The wait of one acquire: shows the wait event and counts it, from the first need to wait on.
class LockWait {
 public:
  explicit LockWait(LWLock& lock) : lock_(lock) {}
  ~LockWait() {
    if (began_ns_ == 0) return;
    t_self.proc->wait_event.store(event_before_, std::memory_order_relaxed);
    TrancheCounters& counters = CountersOf(lock_);
    Add(counters.waited, 1);
    Add(counters.wait_ns, static_cast<uint64_t>(MonotonicNs() - began_ns_));
  }
  LockWait(const LockWait&) = delete;
  LockWait& operator=(const LockWait&) = delete;

  // One look during the spinning phase; false when it is time to sleep.
  bool SpinOnce() {
    Begin();
    if (spins_ == GetLockTuning().spin_rounds) return false;
    ++spins_;
    Pause();
    return true;
  }

  void Sleep(std::atomic<uint32_t>& word, uint32_t value, uint32_t bits) {
    Begin();
    const int64_t warn_ns = GetLockTuning().warn_timeout_ns;
    if (FutexWait(&word, value, MonotonicNs() + warn_ns, bits)) return;
    // Timed out: never unbounded, so that a wake-up that died with its sender is only a delay.
    if (word.load() == 0) Add(t_self.proc->timeouts_on_free_lock, 1);
    LogLongWait(lock_, MonotonicNs() - began_ns_);
  }

 private:
  void Begin() {
    if (began_ns_ != 0) return;
    began_ns_ = MonotonicNs();
    event_before_ = t_self.proc->wait_event.exchange(
        static_cast<uint16_t>(0x8000u | static_cast<uint16_t>(lock_.tranche)), std::memory_order_relaxed);
  }

  LWLock& lock_;
  int64_t began_ns_ = 0;
  uint32_t spins_ = 0;
  uint16_t event_before_ = 0;
};

// The owner's wait until every reader that was inside has left.
void DrainReaders(LWLock& lock, LockWait& wait) {
  const uint32_t words = ReaderWordsInUse();
  for (uint32_t i = 0; i < words; ++i) {
    std::atomic<uint32_t>& word = lock.readers()[i];
    for (uint32_t bits = word.load(std::memory_order_seq_cst); bits != 0;
         bits = word.load(std::memory_order_seq_cst)) {
      if (!wait.SpinOnce()) wait.Sleep(word, bits, kFutexAny);
    }
  }
}

bool HasReaders(const LWLock& lock) {
  const uint32_t words = ReaderWordsInUse();
  uint32_t all = 0;
  for (uint32_t i = 0; i < words; ++i) all |= lock.readers()[i].load(std::memory_order_seq_cst);
  return all != 0;
}

// Sets a waiter flag on a taken word. False if the word changed meanwhile (`seen` is renewed).
bool AddWaiterFlag(LWLock& lock, uint32_t& seen, uint32_t flag) {
  if ((seen & flag) != 0) return true;
  if (!lock.word.compare_exchange_strong(seen, seen | flag, std::memory_order_seq_cst)) return false;
  seen |= flag;
  return true;
}

[[gnu::noinline]] void AcquireExclusiveSlow(LWLock& lock) {
  LockWait wait(lock);
  uint32_t waiters = 0;
  uint32_t seen = lock.word.load(std::memory_order_seq_cst);
  for (;;) {
    if (seen == 0) {
      // Having slept, we may not be the only one: the flag makes our release wake the next.
      if (lock.word.compare_exchange_strong(seen, t_self.owner | waiters, std::memory_order_seq_cst)) break;
      continue;
    }
    if (wait.SpinOnce()) {
      seen = lock.word.load(std::memory_order_seq_cst);
      continue;
    }
    if (!AddWaiterFlag(lock, seen, LWLock::kExclusiveWaiters)) continue;
    wait.Sleep(lock.word, seen, kWakeExclusive);
    waiters = LWLock::kExclusiveWaiters;
    seen = lock.word.load(std::memory_order_seq_cst);
  }
  DrainReaders(lock, wait);
}

[[gnu::noinline]] void DrainReadersSlow(LWLock& lock) {
  LockWait wait(lock);
  DrainReaders(lock, wait);
}

[[gnu::noinline]] void AcquireSharedSlow(LWLock& lock) {
  LockWait wait(lock);
  for (;;) {
    // An owner is there: retreat, so that it can drain, then wait until the word changes.
    ClearReaderBit(lock);
    uint32_t seen = lock.word.load(std::memory_order_seq_cst);
    while (seen != 0) {
      if (wait.SpinOnce()) {
        seen = lock.word.load(std::memory_order_seq_cst);
        continue;
      }
      if (!AddWaiterFlag(lock, seen, LWLock::kSharedWaiters)) continue;
      wait.Sleep(lock.word, seen, kWakeShared);
      break;
    }
    SetReaderBit(lock);
    if (lock.word.load(std::memory_order_seq_cst) == 0) return;
  }
}

}  // namespace

LWLock* InitLWLock(void* at, uint32_t slot_count, TrancheId tranche, uint64_t instance) {
  auto* lock = new (at) LWLock{.word = 0, .tranche = tranche, .reserved = 0, .instance = instance};
  for (uint32_t i = 0; i < ReaderWords(slot_count); ++i) new (&lock->readers()[i]) std::atomic<uint32_t>(0);
  return lock;
}

void BindLockProc(LockSpace* space, LockProc* proc, SlotIndex slot) {
  CHECK(slot < space->slot_count);
  t_self = Self{};
  t_self.space = space;
  t_self.proc = proc;
  t_self.owner = slot + 1;
  t_self.reader_word = slot / 32;
  t_self.reader_bit = 1u << (slot % 32);
  // A slot that is bound twice by one process (tests) keeps what it holds.
  while (t_self.held_count < kMaxHeldLocks && proc->held[t_self.held_count].load() != 0) ++t_self.held_count;
}

LockTuning& GetLockTuning() {
  static LockTuning tuning;
  return tuning;
}

void AcquireExclusive(LWLock& lock, SourceLocation where) NO_THREAD_SAFETY_ANALYSIS {
  CheckRank(lock, where);
  BeginPending(lock);
  uint32_t expected = 0;
  if (!lock.word.compare_exchange_strong(expected, t_self.owner, std::memory_order_seq_cst)) {
    AcquireExclusiveSlow(lock);
  } else if (HasReaders(lock)) {
    DrainReadersSlow(lock);
  }
  EnterHeld(lock, LockMode::kExclusive, where);
}

void AcquireShared(LWLock& lock, SourceLocation where) NO_THREAD_SAFETY_ANALYSIS {
  CheckRank(lock, where);
  BeginPending(lock);
  SetReaderBit(lock);
  if (lock.word.load(std::memory_order_seq_cst) != 0) AcquireSharedSlow(lock);
  EnterHeld(lock, LockMode::kShared, where);
}

bool TryAcquireExclusive(LWLock& lock, SourceLocation where) NO_THREAD_SAFETY_ANALYSIS {
  BeginPending(lock);
  uint32_t expected = 0;
  if (lock.word.compare_exchange_strong(expected, t_self.owner, std::memory_order_seq_cst)) {
    if (!HasReaders(lock)) {
      EnterHeld(lock, LockMode::kExclusive, where);
      return true;
    }
    ClearOwner(lock);  // readers that saw us retreated and may sleep by now
  }
  EndPending();
  return false;
}

bool TryAcquireShared(LWLock& lock, SourceLocation where) NO_THREAD_SAFETY_ANALYSIS {
  BeginPending(lock);
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
  LeaveHeld(lock, LockMode::kExclusive);
  ClearOwner(lock);
  EndPending();
}

void ReleaseShared(LWLock& lock) NO_THREAD_SAFETY_ANALYSIS {
  LeaveHeld(lock, LockMode::kShared);
  ClearReaderBit(lock);
  EndPending();
}

void Downgrade(LWLock& lock) {
  LeaveHeld(lock, LockMode::kExclusive);
  SetReaderBit(lock);  // before the word is let go: nobody else can become owner in between
  ClearOwner(lock);
#ifndef NDEBUG
  EnterHeld(lock, LockMode::kShared, SourceLocation::current());
#else
  EnterHeld(lock, LockMode::kShared, SourceLocation());
#endif
}

bool HoldsExclusive(const LWLock& lock) {
  const HeldLock entry = MakeHeldLock(&lock, LockMode::kExclusive);
  return std::any_of(t_self.proc->held.begin(), t_self.proc->held.begin() + t_self.held_count,
                     [&](const auto& held) { return held.load(std::memory_order_relaxed) == entry; });
}

bool HoldsAny(const LWLock& lock) {
  return std::any_of(t_self.proc->held.begin(), t_self.proc->held.begin() + t_self.held_count,
                     [&](const auto& held) { return LockOf(held.load(std::memory_order_relaxed)) == &lock; });
}

size_t HeldLockCount() { return t_self.held_count; }

ScopedWait::ScopedWait(WaitEvent event)
    : before_(t_self.proc == nullptr
                  ? uint16_t{0}
                  : t_self.proc->wait_event.exchange(static_cast<uint16_t>(event), std::memory_order_relaxed)) {}

ScopedWait::~ScopedWait() {
  if (t_self.proc != nullptr) t_self.proc->wait_event.store(before_, std::memory_order_relaxed);
}

std::string_view WaitEventText(uint16_t wait_event) {
  if ((wait_event & 0x8000u) != 0) return GetTranche(static_cast<TrancheId>(wait_event & 0x7fffu)).name;
  return WaitEventName(static_cast<WaitEvent>(wait_event));
}

}  // namespace warren
