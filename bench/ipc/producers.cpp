// 4. What if several processes send to one?
#include <array>

#include "bench/ipc/channel_trials.h"
#include "bench/ipc/descriptor_channels.h"
#include "bench/ipc/locked_queue.h"
#include "bench/ipc/measurements.h"
#include "bench/ipc/posix_queue.h"
#include "bench/ipc/producer_queue.h"

namespace warren::ipc {
namespace {

constexpr size_t kBytes = 256;
constexpr size_t kPlaces = 256;
constexpr std::array<int, 4> kProducers = {1, 2, 4, 8};

struct Candidate {
  const char* mechanism;
  MadeChannel (*make)(const ChannelPlan& plan);
};

template <typename Lock>
MadeChannel Locked(const ChannelPlan& plan) {
  return MakeLockedQueue<Lock>(plan, Hold::kCopy);
}

const std::array<Candidate, 5> kCandidates = {{
    {"lock-free queue", MakeProducerQueue},
    {"mutex queue", Locked<PthreadMutex<false>>},
    {"lwlock queue", Locked<WarrenLWLock>},
    {names::kPosixQueue, MakePosixQueue},
    {names::kUnixDatagram, MakeUnixDatagram},
}};

}  // namespace

Plan PlanProducers(const Effort& effort) {
  Plan plan;
  plan.measurement = {
      .name = "producers",
      .title = "several producers into one consumer, 256-byte messages",
      .notes = {"each producer's messages arrive in its order, none lost, none twice: checked.",
                "the queues in shared memory spin, and yield when oversubscribed; the kernel's "
                "sleep."},
      .variant_name = "producers",
      .columns = {columns::Rate(), columns::Cpu(), columns::Sleeps()},
      .plot = {.kind = PlotKind::kLines,
               .column = 0,
               .log_x = true,
               .log_y = true,
               .x_label = "producers"},
      .rows = {}};
  for (const int producers : kProducers) {
    for (const Candidate& candidate : kCandidates) {
      Row row;
      row.mechanism = candidate.mechanism;
      row.variant = fmt::format("{}", producers);
      row.at = producers;
      const TransferPlan transfer = {
          .message_bytes = kBytes,
          .senders = producers,
          .messages = effort.Scaled(400'000, 16) / static_cast<uint32_t>(producers)};
      plan.trials.push_back(TransferTrial(row, candidate.make, {.places = kPlaces}, transfer));
    }
  }
  return plan;
}

}  // namespace warren::ipc
