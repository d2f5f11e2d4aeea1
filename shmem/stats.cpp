#include "shmem/stats.h"

#include <algorithm>
#include <iterator>
#include <new>

#include "base/check.h"
#include "shmem/segment.h"

namespace warren {
namespace {

constexpr StatInfo kStats[] = {
#define WARREN_STAT(id, name, unit, help) {name, unit, help},
#include "shmem/stat_list.def"
#undef WARREN_STAT
};

// The last one stands for every prefix that is not listed.
constexpr std::string_view kErrorKindNames[] = {
    "ERR",  "WRONGTYPE", "NOAUTH",    "WRONGPASS", "NOPERM",  "NOSPACE",  "CORRUPT",  "IOERR",
    "BUSY", "NOPROTO",   "EXECABORT", "NOSCRIPT",  "LOADING", "DEADLOCK", "SHUTDOWN", "other"};
static_assert(std::size(kErrorKindNames) == kErrorKinds);

// One block is a row of counters: the named ones, the error kinds, then four per command. The
// baseline block has the same shape, followed by what is kept in LockProc.
constexpr size_t kErrorsAt = kStatCount;
constexpr size_t kCommandsAt = kErrorsAt + kErrorKinds;
constexpr size_t kCommandCounters = sizeof(CommandCounters) / sizeof(std::atomic<uint64_t>);
constexpr size_t kTrancheCounters = 3;  // acquired, waited, wait_ns

size_t CountersPerBlock(uint32_t command_count) {
  return kCommandsAt + size_t{command_count} * kCommandCounters;
}
size_t BlockBytes(uint32_t command_count) {
  const size_t raw = CountersPerBlock(command_count) * sizeof(std::atomic<uint64_t>);
  return (raw + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes;
}

std::atomic<uint64_t>* CountersAt(std::byte* at) {
  return reinterpret_cast<std::atomic<uint64_t>*>(at);
}
std::atomic<uint64_t>* Block(uint32_t index) {
  return CountersAt(Segment::StatBlocks() + index * BlockBytes(Segment::Config().command_count));
}
std::atomic<uint64_t>* Baseline() { return CountersAt(Segment::StatBaseline()); }
std::atomic<uint64_t>* TrancheBaseline(size_t tranche) {
  return Baseline() + CountersPerBlock(Segment::Config().command_count) +
         tranche * kTrancheCounters;
}
std::atomic<uint64_t>& TimeoutBaseline() { return *TrancheBaseline(kTrancheCount); }

uint32_t BlockCount() { return Segment::Config().slot_count() + 1; }  // and the postmaster's

uint64_t Get(const std::atomic<uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);
}
void Put(std::atomic<uint64_t>& counter, uint64_t value) {
  counter.store(value, std::memory_order_relaxed);
}

uint64_t SumOfBlocks(size_t counter) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < BlockCount(); ++i) sum += Get(Block(i)[counter]);
  return sum;
}

uint64_t SinceReset(size_t counter) { return SumOfBlocks(counter) - Get(Baseline()[counter]); }

Stats::TrancheTotals SumOfTranche(size_t tranche) {
  Stats::TrancheTotals sum{};
  for (const Proc& proc : Segment::Procs().slots()) {
    const TrancheCounters& counters = proc.locks.tranches[tranche];
    sum.acquired += Get(counters.acquired);
    sum.waited += Get(counters.waited);
    sum.wait_ns += Get(counters.wait_ns);
  }
  return sum;
}

uint64_t SumOfTimeouts() {
  uint64_t sum = 0;
  for (const Proc& proc : Segment::Procs().slots()) sum += Get(proc.locks.timeouts_on_free_lock);
  return sum;
}

}  // namespace

const StatInfo& GetStatInfo(StatId id) { return kStats[static_cast<size_t>(id)]; }

std::span<const std::string_view> ErrorKindNames() { return kErrorKindNames; }

size_t ErrorKindOf(std::string_view error_reply) {
  const std::string_view prefix = error_reply.substr(0, error_reply.find(' '));
  const auto* found = std::find(std::begin(kErrorKindNames), std::end(kErrorKindNames) - 1, prefix);
  return static_cast<size_t>(found - std::begin(kErrorKindNames));
}

size_t Stats::BlocksBytes(uint32_t slot_count, uint32_t command_count) {
  return (size_t{slot_count} + 1) * BlockBytes(command_count);
}

size_t Stats::BaselineBytes(uint32_t command_count) {
  const size_t counters = CountersPerBlock(command_count) + kTrancheCount * kTrancheCounters + 1;
  return counters * sizeof(std::atomic<uint64_t>);
}

void Stats::BindSelf(SlotIndex slot) { t_counters = Block(slot); }
void Stats::BindPostmaster() { t_counters = Block(Segment::Config().slot_count()); }
void Stats::Unbind() { t_counters = nullptr; }

void Stats::AddCommand(size_t command_index, uint64_t microseconds, bool failed) {
  if (t_counters == nullptr) return;
  DCHECK(command_index < Segment::Config().command_count);
  auto& counters = *reinterpret_cast<CommandCounters*>(t_counters + kCommandsAt +
                                                       command_index * kCommandCounters);
  AddTo(counters.calls, 1);
  AddTo(counters.microseconds, microseconds);
  if (failed) AddTo(counters.failed, 1);
}

void Stats::AddRejected(size_t command_index) {
  if (t_counters == nullptr) return;
  DCHECK(command_index < Segment::Config().command_count);
  auto& counters = *reinterpret_cast<CommandCounters*>(t_counters + kCommandsAt +
                                                       command_index * kCommandCounters);
  AddTo(counters.rejected, 1);
}

void Stats::AddError(std::string_view error_reply) {
  if (t_counters == nullptr) return;
  Add(StatId::kErrors);
  AddTo(t_counters[kErrorsAt + ErrorKindOf(error_reply)], 1);
}

uint64_t Stats::Of(SlotIndex slot, StatId id) { return Get(Block(slot)[static_cast<size_t>(id)]); }
void Stats::SetOf(SlotIndex slot, StatId id, uint64_t n) {
  Put(Block(slot)[static_cast<size_t>(id)], n);
}

uint64_t Stats::Read(StatId id) { return SinceReset(static_cast<size_t>(id)); }
uint64_t Stats::ReadSinceStart(StatId id) { return SumOfBlocks(static_cast<size_t>(id)); }
uint64_t Stats::ReadError(size_t error_kind) { return SinceReset(kErrorsAt + error_kind); }

Stats::CommandTotals Stats::ReadCommand(size_t command_index) {
  const size_t at = kCommandsAt + command_index * kCommandCounters;
  return {.calls = SinceReset(at),
          .microseconds = SinceReset(at + 1),
          .rejected = SinceReset(at + 2),
          .failed = SinceReset(at + 3)};
}

Stats::TrancheTotals Stats::ReadTranche(size_t tranche) {
  TrancheTotals sum = SumOfTranche(tranche);
  const std::atomic<uint64_t>* baseline = TrancheBaseline(tranche);
  sum.acquired -= Get(baseline[0]);
  sum.waited -= Get(baseline[1]);
  sum.wait_ns -= Get(baseline[2]);
  return sum;
}

uint64_t Stats::TimeoutsOnFreeLock() { return SumOfTimeouts() - Get(TimeoutBaseline()); }

void Stats::Reset() {
  for (size_t i = 0; i < CountersPerBlock(Segment::Config().command_count); ++i) {
    Put(Baseline()[i], SumOfBlocks(i));
  }
  for (size_t tranche = 0; tranche < kTrancheCount; ++tranche) {
    const TrancheTotals sum = SumOfTranche(tranche);
    std::atomic<uint64_t>* baseline = TrancheBaseline(tranche);
    Put(baseline[0], sum.acquired);
    Put(baseline[1], sum.waited);
    Put(baseline[2], sum.wait_ns);
  }
  Put(TimeoutBaseline(), SumOfTimeouts());
}

}  // namespace warren
