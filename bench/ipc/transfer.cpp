#include "bench/ipc/transfer.h"

#include <algorithm>

#include "bench/ipc/payload.h"
#include "bench/ipc/processes.h"

namespace warren::ipc {
namespace {

uint32_t WarmUp(const TransferPlan& plan) { return std::max(plan.messages / 10, uint32_t{1}); }

void SendAll(Channel& channel, const TransferPlan& plan, Member& self) {
  const uint32_t warm_up = WarmUp(plan);
  const auto sender = static_cast<uint32_t>(self.index() - 1);
  for (uint32_t i = 0; i < warm_up + plan.messages; ++i) {
    if (i == warm_up) self.Begin();
    FillMessage(channel.Prepare(), plan.message_bytes, {.sender = sender, .number = i});
    channel.Send();
  }
  self.End();
}

void ReceiveAll(Channel& channel, const TransferPlan& plan, Member& self) {
  const uint64_t warm_up = uint64_t{WarmUp(plan)} * static_cast<uint64_t>(plan.senders);
  const uint64_t all = warm_up + uint64_t{plan.messages} * static_cast<uint64_t>(plan.senders);
  MessageAccount account(plan.senders, plan.message_bytes);
  for (uint64_t i = 0; i < all; ++i) {
    if (i == warm_up) self.Begin();
    const std::string wrong = account.Take(channel.Receive());
    if (!wrong.empty()) Fail("{}", wrong);
    channel.Release();
  }
  self.End();
}

Transfer Summarise(const TransferPlan& plan, const std::vector<Usage>& usage) {
  const auto messages = static_cast<double>(plan.messages) * plan.senders;
  const Usage& receiver = usage.front();
  Transfer result;
  for (const Usage& one : usage) {
    result.cpu_ns_per_message += static_cast<double>(one.cpu_ns) / messages;
    result.sleeps_per_message += static_cast<double>(one.sleeps) / messages;
  }
  const int64_t ran_ns = std::max<int64_t>(receiver.end_ns - receiver.begin_ns, 1);
  result.messages_per_second = messages * 1e9 / static_cast<double>(ran_ns);
  return result;
}

}  // namespace

Result<Transfer> MeasureTransfer(Channel& channel, const TransferPlan& plan) {
  const auto body = [&](Member& self) {
    channel.Join(self.index());
    self.StartTogether();
    self.index() == 0 ? ReceiveAll(channel, plan, self) : SendAll(channel, plan, self);
  };
  ASSIGN_OR_RETURN(const std::vector<Usage> usage, RunTeam(1 + plan.senders, body));
  return Summarise(plan, usage);
}

Result<Transfer> MeasureNoTransfer(const TransferPlan& plan) {
  const auto body = [&](Member& self) {
    std::vector<std::byte> message(plan.message_bytes);
    MessageAccount account(1, plan.message_bytes);
    for (uint32_t i = 0; i < WarmUp(plan) + plan.messages; ++i) {
      if (i == WarmUp(plan)) self.Begin();
      FillMessage(message.data(), plan.message_bytes, {.sender = 0, .number = i});
      const std::string wrong = account.Take(message);
      if (!wrong.empty()) Fail("{}", wrong);
    }
    self.End();
  };
  ASSIGN_OR_RETURN(const std::vector<Usage> usage, RunTeam(1, body));
  return Summarise(plan, usage);
}

}  // namespace warren::ipc
