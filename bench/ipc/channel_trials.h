// How does a table of channels become trials?
#pragma once

#include <functional>

#include "bench/ipc/channel.h"
#include "bench/ipc/figures.h"
#include "bench/ipc/transfer.h"

namespace warren::ipc {

using ChannelMaker = std::function<MadeChannel(const ChannelPlan&)>;

// A trial that makes a channel anew each time and sends messages through it. The sample has the
// columns Rate, Cpu, Sleeps.
Trial TransferTrial(Row row, ChannelMaker make, ChannelPlan channel, TransferPlan transfer);

// The same of making and checking alone.
Trial NoTransferTrial(Row row, TransferPlan transfer);

inline Sample TransferSample(const Transfer& transfer) {
  return {.values = {transfer.messages_per_second, transfer.cpu_ns_per_message,
                     transfer.sleeps_per_message},
          .outcome = {},
          .unavailable = {}};
}

}  // namespace warren::ipc
