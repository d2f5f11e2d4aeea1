// 1. How long is a small message on its way?
//
// Ping-pong between two processes over two channels of one kind: half of each round trip is one
// way. Every message is made anew and checked. The clock is read once in a round trip.
#include <algorithm>
#include <array>

#include "base/clock.h"
#include "bench/ipc/descriptor_channels.h"
#include "bench/ipc/measurements.h"
#include "bench/ipc/payload.h"
#include "bench/ipc/posix_queue.h"
#include "bench/ipc/processes.h"
#include "bench/ipc/ring.h"
#include "bench/ipc/shared_memory.h"

namespace warren::ipc {
namespace {

constexpr size_t kBytes = 56;  // with the ring's turn beside it one cache line

struct Candidate {
  const char* mechanism;
  Waiting waiting;
  MadeChannel (*make)(const ChannelPlan& plan);
  size_t places;
  uint32_t round_trips;  // in full
  const char* reference;
};

MadeChannel InCache(const ChannelPlan& plan) { return MakeReferenceRing(plan, RingWait::kSpin); }
MadeChannel WithFutex(const ChannelPlan& plan) { return MakeReferenceRing(plan, RingWait::kFutex); }
MadeChannel WithEventfd(const ChannelPlan& plan) {
  return MakeReferenceRing(plan, RingWait::kEventfd);
}

constexpr size_t kFew = 256;              // 16 KiB
constexpr size_t kUncached = 512 * 1024;  // 64 MiB, each line flushed besides

const std::array<Candidate, 12> kCandidates = {{
    {"shared memory, in cache", Waiting::kSpin, InCache, kFew, 1'000'000, "50-100 ns at least"},
    {"shared memory, uncached", Waiting::kSpin, MakeUncachedRing, kUncached, 200'000, ""},
    {names::kPipe, Waiting::kSpin, MakePipe, 0, 50'000, ""},
    {names::kUnixStream, Waiting::kSpin, MakeUnixStream, 0, 50'000, ""},
    {names::kPosixQueue, Waiting::kSpin, MakePosixQueue, 10, 50'000, ""},
    {names::kTcp, Waiting::kSpin, MakeTcp, 0, 50'000, ""},
    {"futex + shared memory", Waiting::kBlock, WithFutex, kFew, 20'000, ""},
    {"eventfd + shared memory", Waiting::kBlock, WithEventfd, kFew, 20'000, ""},
    {names::kPipe, Waiting::kBlock, MakePipe, 0, 20'000, "1.5-3 us at least"},
    {names::kUnixStream, Waiting::kBlock, MakeUnixStream, 0, 20'000, "2-4 us at least"},
    {names::kPosixQueue, Waiting::kBlock, MakePosixQueue, 10, 20'000, "3-6 us at least"},
    {names::kTcp, Waiting::kBlock, MakeTcp, 0, 20'000, "8-15 us at least"},
}};

void CheckPong(MessageAccount& account, Channel& from) {
  const std::string wrong = account.Take(from.Receive());
  if (!wrong.empty()) Fail("{}", wrong);
  from.Release();
}

void Ping(Channel& there, Channel& back, std::span<int64_t> half_ns) {
  MessageAccount account(1, kBytes);
  const auto warm_up = static_cast<int64_t>(half_ns.size() / 10);
  int64_t before_ns = 0;
  uint32_t number = 0;
  for (int64_t i = -warm_up; i < static_cast<int64_t>(half_ns.size()); ++i) {
    FillMessage(there.Prepare(), kBytes, {.sender = 0, .number = number++});
    if (i <= 0) before_ns = MonotonicNs();
    there.Send();
    CheckPong(account, back);
    const int64_t now_ns = MonotonicNs();
    if (i >= 0) half_ns[static_cast<size_t>(i)] = (now_ns - before_ns) / 2;
    before_ns = now_ns;
  }
}

void Pong(Channel& there, Channel& back, size_t round_trips) {
  MessageAccount account(1, kBytes);
  const size_t all = round_trips + round_trips / 10;
  for (uint32_t i = 0; i < all; ++i) {
    CheckPong(account, there);
    FillMessage(back.Prepare(), kBytes, {.sender = 0, .number = i});
    back.Send();
  }
}

Result<Sample> Measure(const Candidate& candidate, uint32_t round_trips) {
  const ChannelPlan plan = {
      .message_bytes = kBytes, .places = candidate.places, .waiting = candidate.waiting};
  const MadeChannel there = candidate.make(plan);
  const MadeChannel back = candidate.make(plan);
  if (!there.ok()) return Sample{{}, {}, there.error().message};
  if (!back.ok()) return Sample{{}, {}, back.error().message};
  SharedMemory memory(SharedMemory::Rounded(round_trips * sizeof(int64_t)));
  const std::span<int64_t> half_ns(memory.Allocate<int64_t>(round_trips), round_trips);
  const auto body = [&](Member& self) {
    self.StartTogether();
    self.index() == 0 ? Ping(**there, **back, half_ns) : Pong(**there, **back, round_trips);
  };
  if (const auto done = RunTeam(2, body); !done.ok()) return done.error();
  std::sort(half_ns.begin(), half_ns.end());
  const auto at = [&](double percent) { return static_cast<double>(Percentile(half_ns, percent)); };
  return Sample{{at(0), at(50), at(99)}, {}, {}};
}

}  // namespace

Plan PlanLatency(const Effort& effort) {
  Plan plan;
  plan.measurement = {
      .name = "latency",
      .title = "one-way latency of a 56-byte message: half of a round trip",
      .notes =
          {"spinning: the receiver looks again and again and uses a whole processor; blocking: "
           "it sleeps in the kernel until woken.",
           "uncached: each message lies in lines that no cache has, and is written back to "
           "memory before it is announced."},
      .variant_name = "waiting",
      .columns = {{"min ns", "ns", 0, Better::kLess},
                  {"typical ns", "ns", 0, Better::kLess},
                  {"p99 ns", "ns", 0, Better::kLess}},
      .plot = {.kind = PlotKind::kBars, .column = 1, .log_x = false, .log_y = true, .x_label = ""},
      .rows = {}};
  for (const Candidate& candidate : kCandidates) {
    Row row;
    row.mechanism = candidate.mechanism;
    row.variant = candidate.waiting == Waiting::kSpin ? "spinning" : "blocking";
    row.reference = candidate.reference;
    const uint32_t round_trips = effort.Scaled(candidate.round_trips, 16);
    plan.trials.push_back(
        {row, [candidate, round_trips] { return Measure(candidate, round_trips); }});
  }
  return plan;
}

}  // namespace warren::ipc
