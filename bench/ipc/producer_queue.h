// How do many producers feed one consumer without a lock?
//
// A bounded ring of cells (D. Vyukov's). A producer claims the next number by compare-and-swap,
// then fills that cell and says so by its `turn`; the consumer waits for the turns in order. Nobody
// holds a lock, and yet a producer killed between claim and turn stops everybody: the consumer
// waits for its cell for ever. Lock-free is not crash-safe.
#pragma once

#include "bench/ipc/channel.h"

namespace warren::ipc {

// Made in a buffer of the producer, copied in and out; spinning.
MadeChannel MakeProducerQueue(const ChannelPlan& plan);

}  // namespace warren::ipc
