// 3. What does a lock cost beside none, when one produces and one consumes?
#include <array>

#include "bench/ipc/channel_trials.h"
#include "bench/ipc/locked_queue.h"
#include "bench/ipc/measurements.h"
#include "bench/ipc/ring.h"

namespace warren::ipc {
namespace {

constexpr size_t kBytes = 4096;
constexpr size_t kPlaces = 64;

struct Candidate {
  const char* mechanism;
  MadeChannel (*make)(const ChannelPlan& plan, Hold hold);
  const char* reference_low;
  const char* reference_high;
};

const std::array<Candidate, 4> kCandidates = {{
    {SpinLock::kName, MakeLockedQueue<SpinLock>, "-15 %", ""},
    {PthreadMutex<false>::kName, MakeLockedQueue<PthreadMutex<false>>, "-51 %", "-90 %"},
    {PthreadMutex<true>::kName, MakeLockedQueue<PthreadMutex<true>>, "", ""},
    {WarrenLWLock::kName, MakeLockedQueue<WarrenLWLock>, "", ""},
}};

struct Contention {
  Hold hold;
  const char* name;
};
constexpr std::array<Contention, 2> kContentions = {{
    {Hold::kCount, "low contention"},
    {Hold::kCopy, "high contention"},
}};

}  // namespace

Plan PlanTax(const Effort& effort) {
  Plan plan;
  plan.measurement = {
      .name = "tax",
      .title = "the synchronisation tax: 4 KiB messages, one producer, one consumer, all spinning",
      .notes = {"low contention: the lock is held to look at and change two counters; high: while "
                "4 KiB are copied, too, so that both want it nearly always.",
                "the starting text's figures are losses against its lock-free ring."},
      .variant_name = "contention",
      .columns = {columns::Rate(), columns::Cpu(), columns::Sleeps()},
      .plot = {.kind = PlotKind::kBars, .column = 0, .log_x = false, .log_y = false, .x_label = ""},
      .rows = {}};
  const TransferPlan transfer = {
      .message_bytes = kBytes, .senders = 1, .messages = effort.Scaled(262'144, 16)};
  Row row;
  row.mechanism = "lock-free ring";
  row.variant = "none";
  const auto ring = [](const ChannelPlan& of) { return MakeCopyingRing(of, RingWait::kSpin); };
  plan.trials.push_back(TransferTrial(row, ring, {.places = kPlaces}, transfer));
  for (const Contention& contention : kContentions) {
    for (const Candidate& candidate : kCandidates) {
      row.mechanism = candidate.mechanism;
      row.variant = contention.name;
      const bool low = contention.hold == Hold::kCount;
      row.reference = low ? candidate.reference_low : candidate.reference_high;
      const auto make = [candidate, contention](const ChannelPlan& of) {
        return candidate.make(of, contention.hold);
      };
      plan.trials.push_back(TransferTrial(row, make, {.places = kPlaces}, transfer));
    }
  }
  return plan;
}

}  // namespace warren::ipc
