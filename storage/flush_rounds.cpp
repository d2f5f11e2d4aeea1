#include "storage/flush_rounds.h"

#include <sched.h>

#include <algorithm>
#include <climits>

#include "base/clock.h"
#include "base/fault_point.h"
#include "lwlock/futex.h"
#include "lwlock/lock_self.h"
#include "lwlock/wait_hook.h"
#include "shmem/segment.h"

namespace warren {
namespace {

constexpr uint32_t kNextFlusher = 1u << 2;
constexpr int64_t kLongestSleepNs = 1'000'000'000;
constexpr uint64_t kMuchLogBytes = 1u << 20;

uint32_t BitOf(uint32_t round) { return 1u << (round & 1); }

bool IsFree(const LWLock& lock) { return (lock.word.load() & LWLock::kOwnerMask) == 0; }

}  // namespace

void FlushRounds::GatherCompany(const WalState& state) {
  if (state.flush_company.load(std::memory_order_relaxed) == 0) return;
  const int64_t sync_ns = state.sync_ns.load(std::memory_order_relaxed);
  const int64_t quiet_ns = std::clamp<int64_t>(sync_ns / 8, 20'000, 500'000);
  const int64_t began_ns = MonotonicNs();
  int64_t grew_ns = began_ns;
  const Lsn enough = state.flush.load(std::memory_order_relaxed) + kMuchLogBytes;
  Lsn seen = state.insert.load(std::memory_order_relaxed);
  for (int64_t now_ns = began_ns; now_ns - began_ns < sync_ns / 2 && now_ns - grew_ns < quiet_ns;
       now_ns = MonotonicNs()) {
    if (seen >= enough) return;
    sched_yield();
    const Lsn insert = state.insert.load(std::memory_order_relaxed);
    if (insert != seen) grew_ns = MonotonicNs();
    seen = insert;
  }
}

void FlushRounds::Wait(WalState& state, uint32_t round, Lsn lsn) {
  const bool taken_along = state.flush_target.load() >= lsn;
  const uint32_t bits = taken_along ? BitOf(round) : BitOf(round + 1) | kNextFlusher;
  const int64_t deadline_ns = MonotonicNs() + kLongestSleepNs;
  const bool woken = FutexWaitHooked(FutexWord(state.flush_round), round, deadline_ns, bits);
  FAULT_POINT(kLogWoken);
  if (!woken && state.flush_round.load() == round && IsFree(Segment::WalFlushLock())) {
    AddToCounter(t_lock_self.proc->timeouts_on_free_lock, 1);
  }
}

void FlushRounds::End(WalState& state) noexcept {
  const uint32_t ended = state.flush_round.fetch_add(1);
  const FutexAddress round = FutexWord(state.flush_round);
  long woken = FutexWake(round, 1, kNextFlusher);  // first: the disk is idle
  woken += FutexWake(round, INT_MAX, BitOf(ended));
  state.flush_company.store(static_cast<uint32_t>(woken), std::memory_order_relaxed);
}

void FlushRounds::WakeAll(WalState& state) noexcept {
  state.flush_round.fetch_add(1);
  FutexWake(FutexWord(state.flush_round), INT_MAX);
}

}  // namespace warren
