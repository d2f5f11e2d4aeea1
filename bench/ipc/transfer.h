// How many messages a second does a channel carry, and what do they cost?
//
// Every message is made and every byte of it is checked inside the measured time, the same for all
// mechanisms; MeasureNoTransfer() says what that alone takes.
#pragma once

#include "base/result.h"
#include "bench/ipc/channel.h"

namespace warren::ipc {

struct TransferPlan {
  size_t message_bytes = 0;
  int senders = 1;
  uint32_t messages = 0;  // of each sender; a tenth more go before, unmeasured
};

struct Transfer {
  double messages_per_second = 0;
  double cpu_ns_per_message = 0;  // of all processes together
  double sleeps_per_message = 0;  // voluntary context switches
};

// Member 0 receives, 1 .. senders send. An error if a message is lost, torn, doubled or out of
// order, if a process dies, or if it takes too long.
Result<Transfer> MeasureTransfer(Channel& channel, const TransferPlan& plan);

// One process makes messages and checks them.
Result<Transfer> MeasureNoTransfer(const TransferPlan& plan);

}  // namespace warren::ipc
