// How do those who wait for the log share its flushes?
//
// A flush takes along all that was inserted before it began. Whoever needs a later one must not be
// woken when it ends, but one of them must, to begin the next; and nobody may be forgotten.
//
// Flushes are numbered by WalState::flush_round: round c is what happens under the flush lock while
// it is c. A waiter reads the round, then tries for the lock, then sleeps on the round:
//
//   taken along, or not known not to be    bit c            woken by the end of round c
//   not taken along (flush_target < lsn)   bit c + 1, next  woken by the end of round c + 1, or,
//   one
//                                                           of them, by that of c, to flush
//
// (bits by the round's parity). A round ends after the lock has been released: whoever found the
// lock taken read a round that had not ended, so its sleep ends with it or does not begin.
// flush_target is kUnknown outside a flush, which counts as taken along: at worst one look too
// many.
//
// A death: the repair of the flush lock, and the process monitor after each, ends the round for all
// (WakeAll), because the dead one may have been the one that was woken to flush.
#pragma once

#include <cstdint>

#include "shmem/wal_state.h"

namespace warren {

class FlushRounds {
 public:
  static constexpr Lsn kUnknownTarget = ~Lsn{0};

  // By the flusher, before it begins: if the last round had others waiting, their clients are about
  // to come back with the next change. It waits for them while changes keep coming, at most for
  // half of what a sync takes: a sync for fifty costs what one for twenty-five does. Not when so
  // much is there already that the bytes are what takes the time.
  static void GatherCompany(const WalState& state);
  // Sleeps until something may have changed for one who waits for `lsn`; `round` was read before
  // the try for the flush lock that failed. Never for long: a sleep that ends by itself while
  // nobody flushes is a lost wake-up, and is counted with those of the locks.
  static void Wait(WalState& state, uint32_t round, Lsn lsn);
  // By the flusher, after it has released the flush lock.
  static void End(WalState& state) noexcept;
  static void WakeAll(WalState& state) noexcept;
};

}  // namespace warren
