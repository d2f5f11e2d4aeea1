#include "bench/ipc/channel_trials.h"

#include <utility>

namespace warren::ipc {

Trial TransferTrial(Row row, ChannelMaker make, ChannelPlan channel, TransferPlan transfer) {
  row.processes = 1 + transfer.senders;
  channel.message_bytes = transfer.message_bytes;
  return {std::move(row), [make = std::move(make), channel, transfer]() -> Result<Sample> {
            const MadeChannel made = make(channel);
            if (!made.ok()) return Sample{{}, {}, made.error().message};
            ASSIGN_OR_RETURN(const Transfer figures, MeasureTransfer(**made, transfer));
            return TransferSample(figures);
          }};
}

Trial NoTransferTrial(Row row, TransferPlan transfer) {
  row.processes = 1;
  return {std::move(row), [transfer]() -> Result<Sample> {
            ASSIGN_OR_RETURN(const Transfer figures, MeasureNoTransfer(transfer));
            return TransferSample(figures);
          }};
}

}  // namespace warren::ipc
