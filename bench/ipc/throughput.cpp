// 2. How many messages a second does each mechanism carry from one process to another, and at what
// cost in processor time?
#include <array>

#include "bench/ipc/channel_trials.h"
#include "bench/ipc/descriptor_channels.h"
#include "bench/ipc/measurements.h"
#include "bench/ipc/posix_queue.h"
#include "bench/ipc/ring.h"

namespace warren::ipc {
namespace {

struct Size {
  size_t bytes;
  uint32_t messages;  // in full
  size_t places;
};
constexpr std::array<Size, 3> kSizes = {{
    {64, 1'048'576, 1024},
    {4096, 262'144, 64},
    {1 << 20, 1024, 4},
}};

struct Candidate {
  const char* mechanism;
  MadeChannel (*make)(const ChannelPlan& plan);
  const char* reference_4k;
};

MadeChannel Ring(const ChannelPlan& plan) { return MakeCopyingRing(plan, RingWait::kSpin); }
MadeChannel SleepingRing(const ChannelPlan& plan) {
  return MakeCopyingRing(plan, RingWait::kFutex);
}
MadeChannel Reference(const ChannelPlan& plan) { return MakeReferenceRing(plan, RingWait::kSpin); }
MadeChannel SleepingReference(const ChannelPlan& plan) {
  return MakeReferenceRing(plan, RingWait::kFutex);
}

const std::array<Candidate, 9> kCandidates = {{
    {names::kRing, Ring, "4,500,000/s"},
    {"spsc ring, futex", SleepingRing, ""},
    {names::kReference, Reference, ""},
    {"by reference, futex", SleepingReference, ""},
    {names::kPipe, MakePipe, "450,000/s"},
    {names::kSplicedPipe, MakeSplicedPipe, ""},
    {names::kUnixStream, MakeUnixStream, "380,000/s"},
    {names::kPosixQueue, MakePosixQueue, "180,000/s"},
    {names::kTcp, MakeTcp, ""},
}};

}  // namespace

Plan PlanThroughput(const Effort& effort) {
  Plan plan;
  plan.measurement = {
      .name = "throughput",
      .title = "messages from one process to another",
      .notes = {"not sent: one process makes each message and checks it; that work is in all rows.",
                "spsc ring and by reference spin, unless futex stands beside them; the rest sleeps "
                "in the kernel."},
      .variant_name = "size",
      .columns = {columns::Rate(), columns::Cpu(), columns::Sleeps()},
      .plot = {.kind = PlotKind::kBars, .column = 0, .log_x = false, .log_y = true, .x_label = ""},
      .rows = {}};
  for (const Size& size : kSizes) {
    const TransferPlan transfer = {
        .message_bytes = size.bytes, .senders = 1, .messages = effort.Scaled(size.messages, 16)};
    Row row;
    row.variant = FormatBytes(size.bytes);
    row.at = static_cast<double>(size.bytes);
    row.mechanism = "not sent";
    plan.trials.push_back(NoTransferTrial(row, transfer));
    for (const Candidate& candidate : kCandidates) {
      row.mechanism = candidate.mechanism;
      row.reference = size.bytes == 4096 ? candidate.reference_4k : "";
      plan.trials.push_back(TransferTrial(row, candidate.make, {.places = size.places}, transfer));
    }
  }
  return plan;
}

}  // namespace warren::ipc
