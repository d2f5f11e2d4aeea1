#include "shmem/fault_table.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "base/ascii.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/ordered_store.h"
#include "lwlock/futex.h"
#include "lwlock/repair.h"
#include "shmem/latch.h"
#include "shmem/segment.h"

namespace warren {
namespace {

// How often one that hangs looks for an end that nobody wakes it for.
constexpr int64_t kLookEveryNs = 50'000'000;

constexpr std::string_view kKindNames[] = {"off",  "kill",  "segv", "abort",
                                           "hang", "delay", "error"};

FaultRow& RowOf(FaultPoint point) { return Segment::Faults()[static_cast<size_t>(point)]; }

// -- Changing a row.

uint32_t BeginChange(FaultRow& row) {
  const uint32_t odd = row.version.load() | 1;  // it is odd already if somebody died in a change
  // Before the change: a death in it must leave the row unset.
  StoreBefore(row.version, odd);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // partner: the fence in ReadRow
  return odd;
}

void EndChange(FaultRow& row, uint32_t odd) {
  StoreAfter(row.version, odd + 1);
  FutexWake(FutexWord(row.version), INT_MAX);
}

// -- Reading it.

struct Seen {
  uint32_t version = 0;
  FaultSetting setting;
};

Seen ReadRow(const FaultRow& row) {
  Seen seen{.version = row.version.load(std::memory_order_acquire), .setting = {}};
  if (seen.version % 2 != 0) return seen;
  FaultSetting setting{.kind = row.kind.load(std::memory_order_relaxed),
                       .delay_ms = row.delay_ms.load(std::memory_order_relaxed),
                       .after = row.after.load(std::memory_order_relaxed),
                       .times = row.times.load(std::memory_order_relaxed),
                       .probability = row.probability.load(std::memory_order_relaxed),
                       .whom = row.whom.load(std::memory_order_relaxed),
                       .number = row.number.load(std::memory_order_relaxed),
                       .owner = row.owner.load(std::memory_order_relaxed)};
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (row.version.load(std::memory_order_relaxed) == seen.version) seen.setting = setting;
  return seen;
}

bool IsMeant(const FaultSetting& setting) {
  switch (setting.whom) {
    case FaultFor::kAnybody:
      return true;
    case FaultFor::kClient:
    case FaultFor::kProcess:
      return Pack(ProcArray::SelfOwner()) == setting.owner;
    case FaultFor::kKind:
      return static_cast<uint64_t>(ProcArray::Self().kind.load()) == setting.number;
  }
  return false;
}

// Not for secrets: another number each time, in each process.
double RandomBelowOne() {
  static uint64_t state = 0;
  if (state == 0)
    state = static_cast<uint64_t>(MonotonicNs()) ^ static_cast<uint64_t>(getpid()) << 40;
  state += 0x9e37'79b9'7f4a'7c15u;  // splitmix64
  uint64_t mixed = state;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58'476d'1ce4'e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d0'49bb'1331'11ebu;
  return static_cast<double>((mixed ^ (mixed >> 31)) >> 11) * 0x1.0p-53;
}

// Counts a hit of the one that is meant; is it the point's turn?
bool TakesTurn(FaultRow& row, const FaultSetting& setting) {
  if (row.matched.fetch_add(1) < setting.after) return false;
  if (setting.probability < 1 && RandomBelowOne() >= setting.probability) return false;
  uint32_t fired = row.fired.load();
  do {
    if (setting.times != 0 && fired >= setting.times) return false;
  } while (!row.fired.compare_exchange_weak(fired, fired + 1));
  return true;
}

// -- What happens.

// At a process's start all signals are blocked.
[[noreturn]] void DieOf(int signal) {
  std::signal(signal, SIG_DFL);
  sigset_t deadly;
  sigemptyset(&deadly);
  sigaddset(&deadly, signal);
  pthread_sigmask(SIG_UNBLOCK, &deadly, nullptr);
  kill(getpid(), signal);
  for (;;) pause();
}

// Told to end, and nobody waits for what it holds.
bool MayLeave() {
  const Proc& self = ProcArray::Self();
  return HeldLockCount() == 0 && self.end_requested.load() == self.generation.load();
}

void Hang(const FaultRow& row, uint32_t version) {
  const ScopedWait wait(WaitEvent::kFaultPoint);
  const auto shutting_down = static_cast<uint32_t>(ServerPhase::kShuttingDown);
  while (row.version.load() == version && !Latch::TerminateRequested() && !MayLeave() &&
         Segment::Server().phase.load() != shutting_down) {
    FutexWait(FutexWord(row.version), version, MonotonicNs() + kLookEveryNs);
  }
}

void Delay(uint32_t ms) {
  const ScopedWait wait(WaitEvent::kFaultPoint);
  const int64_t until_ms = MonotonicMs() + ms;
  for (int64_t left = ms; left > 0; left = until_ms - MonotonicMs()) {
    poll(nullptr, 0, static_cast<int>(left));
  }
}

void LogFault(FaultPoint point, FaultKind kind) {
  const std::string locks = DescribeLocks(ProcArray::Self().locks);
  log::Notice("fault point {}: {}, holding {}", FaultPointName(point),
              kKindNames[static_cast<size_t>(kind)], locks.empty() ? "nothing" : locks);
}

Status Act(FaultPoint point, const Seen& seen) {
  const FaultKind kind = seen.setting.kind;
  if (kind != FaultKind::kDelay && kind != FaultKind::kError) LogFault(point, kind);
  switch (kind) {
    case FaultKind::kKill:
      ProcArray::Self().killed_ns.store(MonotonicNs());  // for the incident
      DieOf(SIGKILL);
    case FaultKind::kSegv:
      DieOf(SIGSEGV);
    case FaultKind::kAbort:
      ProcArray::AbortDeclaredClean();
    case FaultKind::kHang:
      Hang(RowOf(point), seen.version);
      return {};
    case FaultKind::kDelay:
      Delay(seen.setting.delay_ms);
      return {};
    case FaultKind::kError:
      return MakeError(ErrorCode::kIo, "fault point {} is set to fail", FaultPointName(point));
    case FaultKind::kNone:
      break;
  }
  return {};
}

Status Meet(FaultPoint point) {
  FaultRow& row = RowOf(point);
  row.hits.fetch_add(1);
  const Seen seen = ReadRow(row);
  if (seen.setting.kind == FaultKind::kNone || !IsMeant(seen.setting)) return {};
  return TakesTurn(row, seen.setting) ? Act(point, seen) : Status();
}

}  // namespace

void FaultTable::Enable() { SetSharedFaultAction(Meet); }

void FaultTable::Set(FaultPoint point, const FaultSetting& setting) {
  CHECK(setting.kind != FaultKind::kError || GetFaultPoint(point).may_fail);
  FaultRow& row = RowOf(point);
  const uint32_t odd = BeginChange(row);
  row.kind.store(setting.kind);
  row.whom.store(setting.whom);
  row.delay_ms.store(setting.delay_ms);
  row.after.store(setting.after);
  row.times.store(setting.times);
  row.probability.store(setting.probability);
  row.number.store(setting.number);
  row.owner.store(setting.owner);
  row.matched.store(0);
  row.fired.store(0);
  EndChange(row, odd);
}

bool FaultTable::Clear(FaultPoint point) {
  const bool was_set = Read(point).kind != FaultKind::kNone;
  Set(point, {});
  return was_set;
}

FaultSetting FaultTable::Read(FaultPoint point) { return ReadRow(RowOf(point)).setting; }

FaultCounts FaultTable::Counts(FaultPoint point) {
  const FaultRow& row = RowOf(point);
  return {.hits = row.hits.load(), .fired = row.fired.load()};
}

std::optional<FaultKind> FindFaultKind(std::string_view word) {
  for (size_t i = 1; i < std::size(kKindNames); ++i) {
    if (EqualsIgnoreCase(kKindNames[i], word)) return static_cast<FaultKind>(i);
  }
  return std::nullopt;
}

std::string DescribeFault(const FaultSetting& setting) {
  std::string text(kKindNames[static_cast<size_t>(setting.kind)]);
  if (setting.kind == FaultKind::kDelay) text += fmt::format(" {}", setting.delay_ms);
  if (setting.after != 0) text += fmt::format(" after {}", setting.after);
  if (setting.times != 0) text += fmt::format(" times {}", setting.times);
  if (setting.probability < 1) text += fmt::format(" probability {}", setting.probability);
  if (setting.whom == FaultFor::kClient) text += fmt::format(" client {}", setting.number);
  if (setting.whom == FaultFor::kProcess) text += fmt::format(" process {}", setting.number);
  if (setting.whom == FaultFor::kKind) {
    text += fmt::format(" kind {}", GetProcessKind(static_cast<ProcessKind>(setting.number)).name);
  }
  return text;
}

}  // namespace warren
