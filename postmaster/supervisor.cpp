#include "postmaster/supervisor.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/clock.h"
#include "base/log.h"
#include "conf/settings.h"
#include "postmaster/child_process.h"
#include "postmaster/wait_status.h"
#include "shmem/lock_table.h"
#include "shmem/segment.h"
#include "shmem/stats.h"

namespace warren {
namespace {

// No signal reaches the child before it has handlers of its own, nor this process in the middle of
// a fork.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// With one thread there is nobody who could hold a lock of the C library's just now: making all of
// them as new, as fork does before and after, is only work, on several pages that each side then
// has to copy. Sanitizers have to know of each fork.
pid_t ForkAlone() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return fork();
#else
  return _Fork();
#endif
}

// "backend 1234, slot 5, client 127.0.0.1:50123"
std::string NameOf(const Child& child) {
  const Proc& proc = Segment::Procs()[child.owner.slot];
  std::string name =
      fmt::format("{} {}, slot {}", GetProcessKind(child.kind).name, child.pid, child.owner.slot);
  if (child.kind == ProcessKind::kBackend) {
    const std::string_view address = proc.client.address.Get();
    name += fmt::format(", client {}", address.empty() ? "unknown" : address);
  }
  return name;
}

std::string ActivityOf(const Child& child) {
  if (child.kind != ProcessKind::kBackend) return "";
  const ClientInfo& client = Segment::Procs()[child.owner.slot].client;
  const std::string_view command = client.last_command.Get();
  if (client.in_command.load() != 0) return fmt::format(", in command \"{}\"", command);
  return command.empty() ? ", idle" : fmt::format(", idle after \"{}\"", command);
}

// So many slots are never given to backends: a successor of each auxiliary process must find one,
// even if none of the dead ones' slots is free yet, above all the process monitor's.
size_t SlotsKeptForAuxiliaries() {
  return static_cast<size_t>(std::ranges::count_if(
      ProcessKinds(), [](const ProcessKindInfo& kind) { return kind.autostart; }));
}

void CountDeath(ProcessKind kind) {
  Stats::Add(kind == ProcessKind::kBackend ? StatId::kDeathsBackend : StatId::kDeathsAuxiliary);
}

}  // namespace

Supervisor::Supervisor(std::vector<DescriptorRange> postmaster_only)
    : postmaster_only_(std::move(postmaster_only)),
      slots_(static_cast<uint32_t>(Segment::Procs().size())) {
  // Makes what is made at the first use, so that it is there already in each child.
  (void)LockTable::HeldCount();
}

Status Supervisor::Start(ProcessKind kind, FunctionRef<int()> body) {
  TakeBackRepaired();
  const bool for_backend = kind == ProcessKind::kBackend;
  const std::optional<SlotIndex> slot =
      for_backend && slots_.FreeCount() <= SlotsKeptForAuxiliaries() ? std::nullopt : slots_.Take();
  if (!slot) return MakeError(ErrorCode::kBusy, "no process slot is free");
  const ProcArray procs = Segment::Procs();
  const Owner owner = procs.GiveOut(*slot, kind);
  CoverSlot(Segment::Locks(), *slot);  // before the fork: lock owners must see its reader bits

  const pid_t postmaster_pid = getpid();
  pid_t pid;
  int fork_error = 0;
  {
    const AllSignalsBlocked blocked;
    pid = ForkAlone();
    if (pid == 0) {
      // The child never runs the event loop again and closes its descriptors with the others of the
      // postmaster, so Asio is not told of the fork: what it would prepare is to rebuild the loop.
      RunChild({postmaster_pid, *slot, kind, postmaster_only_}, body);
    }
    fork_error = errno;
  }

  if (pid < 0) {
    procs[*slot].life.store(ProcLife::kFree);
    slots_.Free(*slot);
    return MakeError(ErrorCode::kIo, "cannot make a process: {}", strerror(fork_error));
  }
  procs[*slot].pid.store(pid);
  slots_.AddChild({.pid = pid, .owner = owner, .kind = kind, .start_ns = MonotonicNs()});
  return {};
}

void Supervisor::Reap(const std::function<void(const ChildEnd&)>& on_end) {
  const size_t dead_before = slots_.DeadCount();
  while (const std::optional<ChildEnd> end = NextEnd()) on_end(*end);
  // If there is none just now, the next one looks at all slots before it first sleeps.
  if (slots_.DeadCount() > dead_before) Signal(ProcessKind::kProcessMonitor, SIGURG);
}

bool Supervisor::TakeBackRepaired() {
  return slots_.FreeRepaired(
      [](SlotIndex slot) { return Segment::Procs()[slot].life.load() == ProcLife::kFree; });
}

bool Supervisor::MustWaitForSlot() const {
  return slots_.DeadCount() > 0 && slots_.FreeCount() <= SlotsKeptForAuxiliaries();
}

std::optional<ChildEnd> Supervisor::NextEnd() {
  for (;;) {
    int wait_status = 0;
    const pid_t pid = waitpid(-1, &wait_status, WNOHANG | WUNTRACED);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return std::nullopt;
    const Child* child = slots_.FindChild(pid);
    if (child == nullptr) continue;  // not ours: adopted from whoever executed this program
    if (!WIFSTOPPED(wait_status)) return TakeEnd(*child, wait_status);
    NoteStopped(*child, wait_status);
  }
}

CrashVerdict Supervisor::Judge(const DeathFacts& facts) {
  const Settings& settings = GetSettings();
  const CrashVerdict verdict = JudgeDeath(facts, settings.crash_containment);
  if (verdict != CrashVerdict::kRepair || !facts.unfinished() || stopping_) return verdict;
  if (death_breaker_.MayGoOn(MonotonicNs() / 1'000'000, settings.crash_breaker_deaths,
                             settings.crash_breaker_window_ms)) {
    return verdict;
  }
  log::Error("more than {} processes died in the middle of something within {} ms",
             settings.crash_breaker_deaths, settings.crash_breaker_window_ms);
  return CrashVerdict::kStopServer;
}

ChildEnd Supervisor::TakeEnd(const Child& child, int wait_status) {
  Segment::Procs()[child.owner.slot].reaped_ns.store(MonotonicNs());
  const ChildEnd end{.child = child,
                     .wait_status = wait_status,
                     .verdict = Judge(ExamineDead(child.owner.slot, wait_status)),
                     .lived_ms = (MonotonicNs() - child.start_ns) / 1'000'000};
  if (end.verdict != CrashVerdict::kFreeSlot && !stopping_) {
    log::Error("{}: {}{}{}, {}", NameOf(child), DescribeWaitStatus(wait_status),
               DeclaredClean(child.owner.slot, wait_status) ? ", declared clean" : "",
               ActivityOf(child), DescribeHoldings(child.owner.slot));
    CountDeath(child.kind);
  }
  stops_.Forget(child.pid);
  slots_.RemoveChild(end.child.pid);  // `child` is gone from here on
  GiveUpSlot(end);
  return end;
}

void Supervisor::GiveUpSlot(const ChildEnd& end) {
  const SlotIndex slot = end.child.owner.slot;
  Proc& proc = Segment::Procs()[slot];
  if (end.verdict == CrashVerdict::kFreeSlot) {
    proc.pid.store(0);
    proc.life.store(ProcLife::kFree);
    return slots_.Free(slot);
  }
  proc.wait_status.store(end.wait_status);
  // Last: from here on the process monitor may free the slot. It leaves alone what must lead to a
  // full restart, which takes all slots back.
  if (end.verdict == CrashVerdict::kRepair) {
    proc.life.store(ProcLife::kDead);
    slots_.AwaitRepair(slot);
  }
}

void Supervisor::NoteStopped(const Child& child, int wait_status) {
  log::Warning("{}: {}{}, {}", NameOf(child), DescribeWaitStatus(wait_status), ActivityOf(child),
               DescribeHoldings(child.owner.slot));
  // Nobody else would continue it; a backend is left to whoever stopped it.
  if (child.kind == ProcessKind::kBackend) return;
  if (stops_.MayContinue(child.pid, MonotonicNs() / 1'000'000)) {
    kill(child.pid, SIGCONT);
    return;
  }
  log::Warning("{}: stopped again soon after it was continued: killing it", NameOf(child));
  kill(child.pid, SIGKILL);
}

std::optional<int64_t> Supervisor::KillLate() {
  return end_requests_.Look(slots_.children(), MonotonicNs() / 1'000'000, [](const Child& child) {
    log::Warning("{}: did not end within {} ms of being told to: killing it", NameOf(child),
                 kEndGraceMs);
    Segment::Procs()[child.owner.slot].killed_ns.store(MonotonicNs());  // for the incident
    kill(child.pid, SIGKILL);
  });
}

void Supervisor::StartOver() {
  slots_ = SlotTable(static_cast<uint32_t>(Segment::Procs().size()));
  death_breaker_ = DeathBreaker();
  stopping_ = false;
}

void Supervisor::Signal(ProcessKind kind, int signal) const {
  for (const Child& child : slots_.children()) {
    if (child.pid != 0 && child.kind == kind) kill(child.pid, signal);
  }
}

void Supervisor::SignalAll(int signal) const {
  for (const Child& child : slots_.children()) {
    if (child.pid != 0) kill(child.pid, signal);
  }
}

}  // namespace warren
