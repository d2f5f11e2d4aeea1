// What is the fastest way from one process to another: a ring of cells in shared memory.
//
// One producer, one consumer, no lock. A cell says by its `turn` whether it is full: message k lies
// in cell k modulo the number of cells, and is there once the cell's turn is k + 1. The turn stands
// beside the first bytes of the message, so a small message costs one cache line's way. The
// consumer counts what it has taken in a word of its own, which the producer reads only when it has
// used up the room it knew of.
//
//   cells:   [turn|message ...][turn|message ...] ...      turn: producer
//   taken:   messages given back                           consumer
//   sleeps:  "wake me"                                     whoever sleeps
//
// Waiting is spinning, a futex on the turn (or on `taken`), or an eventfd for each direction. Who
// goes to sleep says so before it looks a last time; who publishes looks at that afterwards: one of
// the two sees the other (both sequentially consistent).
#pragma once

#include "bench/ipc/channel.h"

namespace warren::ipc {

enum class RingWait { kSpin, kFutex, kEventfd };

// The message is made in a buffer, copied into the ring, and copied out of it.
MadeChannel MakeCopyingRing(const ChannelPlan& plan, RingWait wait);

// It is made in the ring and looked at there.
MadeChannel MakeReferenceRing(const ChannelPlan& plan, RingWait wait);

// The same with cells that no cache has: more memory than fits, and each line is written back to
// memory and forgotten after use. So the message's own way is through memory. Unavailable on
// processors without an instruction for that.
MadeChannel MakeUncachedRing(const ChannelPlan& plan);

}  // namespace warren::ipc
