#include "postmaster/postmaster.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string_view>
#include <utility>

#include "backend/session.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/settings.h"
#include "conf/shared_settings.h"
#include "postmaster/acceptor.h"
#include "postmaster/aux_processes.h"
#include "postmaster/crash_policy.h"
#include "postmaster/crash_restart.h"
#include "postmaster/restart_incident.h"
#include "postmaster/supervisor.h"
#include "postmaster/wait_status.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/data_directory.h"
#include "storage/lsn_text.h"
#include "storage/redo.h"
#include "storage/storage_failure.h"

namespace warren {
namespace {

constexpr std::chrono::seconds kQuitPatience{5};  // from SIGQUIT to SIGKILL
// From a failure of the disk to the end of all sessions, for them to tell their clients.
constexpr std::chrono::milliseconds kLastWords{200};
constexpr std::chrono::milliseconds kWatchRecoveryEvery{50};
constexpr int kCloseAttempts = 3;
constexpr ProcessKind kCloser = ProcessKind::kCheckpointer;
constexpr ProcessKind kMonitor = ProcessKind::kProcessMonitor;
constexpr std::string_view kTooManyClients = "-ERR max number of clients reached\r\n";
constexpr std::string_view kNoProcess = "-ERR no process could be made for this connection\r\n";

enum class Phase : uint8_t { kStarting, kRunning, kEndingSessions, kClosing, kKilling };
enum class ShutdownMode : uint8_t { kNone, kSmart, kFast };

struct PhaseInfo {
  std::string_view name;     // in postmaster.pid
  ServerPhase server_phase;  // in the segment
};
constexpr std::array kPhases = {
    PhaseInfo{"starting", ServerPhase::kStarting},
    PhaseInfo{"running", ServerPhase::kRunning},
    PhaseInfo{"shutting down", ServerPhase::kShuttingDown},
    PhaseInfo{"shutting down", ServerPhase::kShuttingDown},
    PhaseInfo{"stopping all processes", ServerPhase::kShuttingDown},
};

// Says why, without waiting for the client.
void Refuse(const UniqueFd& socket, std::string_view reply) {
  send(socket.get(), reply.data(), reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  // Closing with unread bytes would be a reset, which can overtake the reply.
  char unread[4096];
  recv(socket.get(), unread, sizeof unread, MSG_DONTWAIT);
  shutdown(socket.get(), SHUT_WR);
}

}  // namespace

struct EventLoop::Asio {
  asio::io_context context{1};
  asio::signal_set signals{context};
};

EventLoop::EventLoop() : asio_(std::make_unique<Asio>()) {
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGURG}) {
    asio_->signals.add(signal);
  }
}

EventLoop::~EventLoop() = default;

class Postmaster {
 public:
  explicit Postmaster(PostmasterParts parts);
  int Run();

 private:
  struct Auxiliary {
    RestartBackoff backoff;
    std::unique_ptr<asio::steady_timer> restart;
  };

  // -- Events.
  void WaitForSignal();
  void OnSignal(int signal);
  void OnConnection(UniqueFd socket, const Listener& listener);
  void WatchFreeSlots();
  void OnChildEnd(const ChildEnd& end);
  void OnStartupEnd(const ChildEnd& end);
  void OnAuxiliaryEnd(const ChildEnd& end);
  void OnCloserEnd(const ChildEnd& end);
  void OnEndWhileClosing(const ChildEnd& end);
  void Reload();
  void ServeSettingsRequests();
  void HeedStorageFailure();
  void HeedEndRequests();

  // -- Phases.
  void EnterPhase(Phase phase);
  void EnterRunning();
  void BeginShutdown(ShutdownMode mode);
  void EndSessions();
  void BeginClosing();
  void BeginKilling(int exit_code);
  void BeginCrashRestart(std::optional<SlotIndex> dead, const std::string& reason);
  void RestartAfterCrash();
  void KillAll();
  void Advance();
  void AdvanceToClosing();
  void AdvanceToEnd();
  static bool CannotRepair(const ChildEnd& end);
  static PackedOwner TakeUnderRepair(const ChildEnd& end);
  void Finish(int exit_code);

  Status StartStartup();
  void ShowRecovery();
  void WatchRecovery();
  void WritePidFile();
  void StartAuxiliary(ProcessKind kind);
  void ScheduleRestart(ProcessKind kind, int64_t delay_ms);
  void PublishConnectionCount();
  bool HasRoomFor(const Listener& listener) const;
  template <typename Duration, typename Action>
  void After(Duration delay, Action action);

  asio::io_context& context_;
  asio::signal_set& signals_;
  ServerSettings settings_;
  PidFile pid_file_;
  PidFileContent pid_file_content_;
  Supervisor supervisor_;
  Acceptor acceptor_;
  asio::steady_timer deadline_;  // of the present phase
  asio::steady_timer watch_;     // of recovery
  asio::steady_timer lateness_;  // of the next child that was told to end
  std::vector<Auxiliary> auxiliaries_;
  Phase phase_ = Phase::kStarting;
  ShutdownMode shutdown_ = ShutdownMode::kNone;
  RestartBreaker breaker_;
  RepairBreaker repair_breaker_;
  bool waiting_for_slot_ = false;  // nobody is let in until a dead process's slot is free
  bool restart_after_killing_ = false;
  bool storage_failed_ = false;  // in this life of the segment
  int close_attempts_ = 0;
  bool closed_ = false;         // the store is on disk and marked as clean
  bool monitor_ended_ = false;  // told to end, after everybody else
  int exit_code_ = 0;
};

Postmaster::Postmaster(PostmasterParts parts)
    : context_(parts.loop.asio_->context),
      signals_(parts.loop.asio_->signals),
      settings_(std::move(parts.settings)),
      pid_file_(std::move(parts.pid_file)),
      pid_file_content_(std::move(parts.pid_file_content)),
      supervisor_(std::move(parts.private_descriptors)),
      acceptor_(context_, std::move(parts.listeners),
                [this](UniqueFd socket, const Listener& listener) {
                  OnConnection(std::move(socket), listener);
                }),
      deadline_(context_),
      watch_(context_),
      lateness_(context_),
      auxiliaries_(ProcessKinds().size()) {
  // Whoever waits for a dead process's locks waits for it.
  auxiliaries_[static_cast<size_t>(kMonitor)].backoff =
      RestartBackoff(RestartBackoff::kFirstDelayMs);
}

int Postmaster::Run() {
  EnterPhase(Phase::kStarting);
  WaitForSignal();
  const Status started = StartStartup();
  if (!started.ok()) {
    log::Error("{}", started.error().message);
    return 1;
  }
  context_.run();
  return exit_code_;
}

// While the startup process makes the log's changes again, postmaster.pid says how far it is.
void Postmaster::ShowRecovery() {
  if (!DataDirectory::NeedsRecovery()) return;
  const WalState& wal = Segment::Wal();
  pid_file_content_.phase = "recovering";
  pid_file_content_.recovery =
      wal.redo_begin.load() == 0
          ? "redo is about to begin"
          : fmt::format("redo at {}, {} %", FormatLsn(wal.redo_at.load()), RedoPercent(wal));
  WritePidFile();
}

void Postmaster::WatchRecovery() {
  watch_.expires_after(kWatchRecoveryEvery);
  watch_.async_wait([this](const std::error_code& error) {
    if (error || phase_ != Phase::kStarting) return;
    ShowRecovery();
    WatchRecovery();
  });
}

void Postmaster::WritePidFile() {
  const Status written = pid_file_.Write(pid_file_content_);
  if (!written.ok()) log::Warning("{}", written.error().message);
}

Status Postmaster::StartStartup() {
  ShowRecovery();
  WatchRecovery();
  return supervisor_.Start(ProcessKind::kStartup,
                           [] { return GetAuxiliaryMain(ProcessKind::kStartup)(); });
}

// -- Events

void Postmaster::WaitForSignal() {
  signals_.async_wait([this](const std::error_code& error, int signal) {
    if (error) return;
    OnSignal(signal);
    WaitForSignal();
  });
}

void Postmaster::OnSignal(int signal) {
  // Whatever woke us: a full signal pipe may have dropped a SIGCHLD.
  supervisor_.Reap([this](const ChildEnd& end) { OnChildEnd(end); });
  PublishConnectionCount();
  WatchFreeSlots();
  Advance();
  HeedStorageFailure();
  HeedEndRequests();
  switch (signal) {
    case SIGTERM:
      return BeginShutdown(shutdown_ == ShutdownMode::kNone ? ShutdownMode::kSmart
                                                            : ShutdownMode::kFast);
    case SIGINT:
      return BeginShutdown(ShutdownMode::kFast);
    case SIGQUIT:
      if (phase_ == Phase::kKilling && !restart_after_killing_) return;
      log::Notice("immediate shutdown: the next start recovers the data from the log");
      return BeginKilling(0);
    case SIGHUP:
      return Reload();
    case SIGURG:
      return ServeSettingsRequests();
    default:
      return;
  }
}

bool Postmaster::HasRoomFor(const Listener& listener) const {
  const Settings& settings = GetSettings();
  const uint32_t reserved =
      listener.unix_socket_path.empty() ? ConnectionsReservedForUnixSocket(settings) : 0;
  return supervisor_.ChildCount(ProcessKind::kBackend) + reserved < settings.max_connections;
}

void Postmaster::OnConnection(UniqueFd socket, const Listener& listener) {
  if (!HasRoomFor(listener)) {
    Stats::Add(StatId::kConnectionsRejectedLimit);
    return Refuse(socket, kTooManyClients);
  }
  const int fd = socket.get();
  const Status started = supervisor_.Start(ProcessKind::kBackend, [fd] { return BackendMain(fd); });
  if (started.ok()) {
    Stats::Add(StatId::kConnectionsAccepted);
  } else {
    log::Error("{}: connection refused: {}", listener.name, started.error().message);
    Stats::Add(StatId::kConnectionsRejectedFork);
    Refuse(socket, kNoProcess);
  }
  PublishConnectionCount();
  WatchFreeSlots();
}

// When many die at once, their clients can be back before their slots are free: they wait in the
// kernel's queue for the process monitor, which signals then.
void Postmaster::WatchFreeSlots() {
  supervisor_.TakeBackRepaired();
  const bool wait = supervisor_.MustWaitForSlot();
  if (phase_ != Phase::kRunning || wait == waiting_for_slot_) return;
  waiting_for_slot_ = wait;
  wait ? acceptor_.Suspend() : acceptor_.Start();
}

void Postmaster::OnChildEnd(const ChildEnd& end) {
  if (end.verdict == CrashVerdict::kStopServer && phase_ != Phase::kKilling) {
    log::Error("shared memory cannot be trusted after the death of {} {}: stopping all processes",
               GetProcessKind(end.child.kind).name, end.child.pid);
    return BeginCrashRestart(end.child.owner.slot, "shared memory cannot be trusted");
  }
  if (phase_ == Phase::kKilling) return;
  const PackedOwner under_repair = TakeUnderRepair(end);
  const SlotIndex repaired = under_repair != 0 ? Unpack(under_repair).slot : end.child.owner.slot;
  if (CannotRepair(end)) {
    log::Error("a dead process cannot be repaired in place: stopping all processes");
    return BeginCrashRestart(repaired, "it cannot be repaired in place");
  }
  if (!repair_breaker_.MayTryAgain(under_repair)) {
    log::Error("the process monitor died twice of the same repair: stopping all processes");
    return BeginCrashRestart(repaired, "the process monitor died twice of its repair");
  }
  if (end.child.kind == ProcessKind::kStartup) return OnStartupEnd(end);
  if (end.child.kind != ProcessKind::kBackend) return OnAuxiliaryEnd(end);
}

bool Postmaster::CannotRepair(const ChildEnd& end) {
  return end.child.kind == kMonitor && WIFEXITED(end.wait_status) &&
         WEXITSTATUS(end.wait_status) == kCannotRepair;
}

// Whose remains the process monitor was clearing away when it died; 0: nobody's, or it is not it
// that died.
PackedOwner Postmaster::TakeUnderRepair(const ChildEnd& end) {
  return end.child.kind == kMonitor ? Segment::Server().under_repair.exchange(0) : 0;
}

void Postmaster::OnStartupEnd(const ChildEnd& end) {
  if (end.wait_status != 0) {
    log::Error("the server does not start: the data could not be read");
    return BeginKilling(1);
  }
  if (phase_ == Phase::kStarting) EnterRunning();
}

void Postmaster::OnAuxiliaryEnd(const ChildEnd& end) {
  if (phase_ == Phase::kClosing) return OnEndWhileClosing(end);
  Auxiliary& auxiliary = auxiliaries_[static_cast<size_t>(end.child.kind)];
  ScheduleRestart(end.child.kind, auxiliary.backoff.NextDelayMs(end.lived_ms));
}

void Postmaster::OnEndWhileClosing(const ChildEnd& end) {
  if (end.child.kind == kCloser) return OnCloserEnd(end);
  if (end.child.kind == kMonitor && !monitor_ended_) StartAuxiliary(kMonitor);
}

void Postmaster::OnCloserEnd(const ChildEnd& end) {
  if (end.wait_status == 0) {
    closed_ = true;
    return;
  }
  const bool tried = WIFEXITED(end.wait_status) && WEXITSTATUS(end.wait_status) == kStoreNotClosed;
  if (!tried && close_attempts_ < kCloseAttempts) return BeginClosing();
  log::Error(
      "data directory \"{}\": not shut down cleanly, the next start recovers it from the log",
      pid_file_content_.data_directory);
  BeginKilling(1);
}

void Postmaster::Reload() {
  log::Notice("reloading settings and opening the log again");
  Status status = settings_.Reload();
  if (!status.ok()) log::Error("settings stay as they were: {}", status.error().message);
  status = log::Reopen();
  if (!status.ok()) log::Error("{}", status.error().message);
  supervisor_.SignalAll(SIGHUP);
}

void Postmaster::ServeSettingsRequests() {
  const uint32_t before = SettingsGeneration();
  while (const std::optional<Owner> requester = settings_.ServeRequest()) {
    SetLatch(Segment::Procs(), *requester);
  }
  // Who sleeps would not look before its next command, and what changed may be how long it sleeps.
  if (SettingsGeneration() != before) supervisor_.SignalAll(SIGURG);
}

// Whoever met it has told us by a signal.
void Postmaster::HeedStorageFailure() {
  if (phase_ != Phase::kRunning || storage_failed_ || !StorageHasFailed()) return;
  storage_failed_ = true;
  log::Error("{}: stopping all processes", StorageFailure().message);
  After(kLastWords, [this] {
    if (phase_ == Phase::kRunning) BeginCrashRestart(std::nullopt, StorageFailure().message);
  });
}

// CLIENT KILL has told us by a signal.
void Postmaster::HeedEndRequests() {
  const std::optional<int64_t> next_ms = supervisor_.KillLate();
  if (!next_ms) return;
  lateness_.expires_after(std::chrono::milliseconds(*next_ms));
  lateness_.async_wait([this](const std::error_code& error) {
    if (!error) HeedEndRequests();
  });
}

// -- Phases

void Postmaster::EnterPhase(Phase phase) {
  phase_ = phase;
  deadline_.cancel();
  const PhaseInfo& info = kPhases[static_cast<size_t>(phase)];
  Segment::Server().phase.store(static_cast<uint32_t>(info.server_phase));
  pid_file_content_.phase = info.name;
  pid_file_content_.recovery.clear();
  WritePidFile();
}

void Postmaster::EnterRunning() {
  RestartIncidents::NoteRunning();  // before the process monitor takes them over
  for (size_t kind = 0; kind < ProcessKinds().size(); ++kind) {
    if (ProcessKinds()[kind].autostart) StartAuxiliary(static_cast<ProcessKind>(kind));
  }
  acceptor_.Start();
  waiting_for_slot_ = false;
  EnterPhase(Phase::kRunning);
  log::Notice("ready for connections");
}

void Postmaster::BeginShutdown(ShutdownMode mode) {
  if (phase_ == Phase::kKilling && restart_after_killing_) return BeginKilling(1);
  if (phase_ == Phase::kClosing || phase_ == Phase::kKilling || mode <= shutdown_) return;
  shutdown_ = mode;
  if (phase_ != Phase::kEndingSessions) {
    acceptor_.Stop();
    EnterPhase(Phase::kEndingSessions);
  }
  if (mode == ShutdownMode::kSmart) {
    log::Notice("smart shutdown: waiting for {} sessions to end",
                supervisor_.ChildCount(ProcessKind::kBackend));
  } else {
    log::Notice("fast shutdown: ending {} sessions", supervisor_.ChildCount(ProcessKind::kBackend));
    EndSessions();
  }
  Advance();
}

void Postmaster::EndSessions() {
  supervisor_.Signal(ProcessKind::kBackend, SIGTERM);
  After(std::chrono::milliseconds(GetSettings().shutdown_timeout_ms), [this] {
    log::Warning("{} sessions did not end within shutdown_timeout: killing their processes",
                 supervisor_.ChildCount(ProcessKind::kBackend));
    supervisor_.Signal(ProcessKind::kBackend, SIGKILL);
    // A commit that cannot be finished, because the disk is full, can be so by the next start.
    After(std::chrono::milliseconds(GetSettings().shutdown_timeout_ms), [this] {
      if (supervisor_.DeadCount() == 0) return;
      log::Error("{} dead processes cannot be cleared away: stopping all processes",
                 supervisor_.DeadCount());
      BeginKilling(1);
    });
  });
}

// The checkpointer closes the store (a new one does if there is none just now); the others just
// end, the process monitor after them all.
void Postmaster::BeginClosing() {
  ++close_attempts_;
  for (Auxiliary& auxiliary : auxiliaries_) auxiliary.restart.reset();
  EnterPhase(Phase::kClosing);
  if (supervisor_.ChildCount(kCloser) == 0) {
    const Status started = supervisor_.Start(kCloser, [] { return GetAuxiliaryMain(kCloser)(); });
    if (!started.ok()) {
      log::Error("the store cannot be closed: {}", started.error().message);
      return BeginKilling(1);
    }
  }
  if (supervisor_.ChildCount(kMonitor) == 0) StartAuxiliary(kMonitor);
  for (size_t kind = 0; kind < ProcessKinds().size(); ++kind) {
    if (static_cast<ProcessKind>(kind) == kMonitor) continue;
    supervisor_.Signal(static_cast<ProcessKind>(kind), SIGTERM);
  }
}

// All processes go; then the data is recovered from the log and the doors open again. Not in the
// middle of a start or a shutdown: there the next start does the same.
void Postmaster::BeginCrashRestart(std::optional<SlotIndex> dead, const std::string& reason) {
  RestartIncidents::Begin(dead, reason);
  const bool worth_it = phase_ == Phase::kRunning;
  if (worth_it && breaker_.MayRestart(MonotonicNs() / 1'000'000)) {
    Stats::Add(StatId::kFullRestarts);
    restart_after_killing_ = true;
    acceptor_.Suspend();
    return KillAll();
  }
  log::Error(
      "data directory \"{}\": not shut down cleanly, the next start recovers it from the log{}",
      pid_file_content_.data_directory,
      worth_it ? "; too many crash restarts within a minute, giving up" : "");
  BeginKilling(1);
}

void Postmaster::BeginKilling(int exit_code) {
  exit_code_ = exit_code;
  restart_after_killing_ = false;
  acceptor_.Stop();
  KillAll();
}

void Postmaster::RestartAfterCrash() {
  restart_after_killing_ = storage_failed_ = false;
  const Status prepared = PrepareCrashRestart(GetSettings());
  if (!prepared.ok()) {
    log::Error("the server cannot start over and stops: {}", prepared.error().message);
    acceptor_.Stop();
    return Finish(1);
  }
  supervisor_.StartOver();
  PublishConnectionCount();
  EnterPhase(Phase::kStarting);
  const Status started = StartStartup();
  if (started.ok()) return;
  log::Error("{}", started.error().message);
  BeginKilling(1);
}

void Postmaster::KillAll() {
  for (Auxiliary& auxiliary : auxiliaries_) auxiliary.restart.reset();
  EnterPhase(Phase::kKilling);
  supervisor_.set_stopping(true);
  supervisor_.SignalAll(SIGQUIT);
  After(kQuitPatience, [this] {
    if (phase_ != Phase::kKilling) return;  // it expired as the last of them ended
    log::Warning("{} processes did not quit: killing them", supervisor_.ChildCount());
    supervisor_.SignalAll(SIGKILL);
  });
  Advance();  // there may be no child whose end would wake us
}

void Postmaster::Advance() {
  if (phase_ == Phase::kEndingSessions) AdvanceToClosing();
  if (phase_ == Phase::kClosing && closed_) AdvanceToEnd();
  if (phase_ == Phase::kKilling && supervisor_.ChildCount() == 0) {
    if (restart_after_killing_) return RestartAfterCrash();
    Finish(exit_code_);
  }
}

void Postmaster::AdvanceToClosing() {
  // What a dead one has left is made whole before the store is closed.
  if (supervisor_.ChildCount(ProcessKind::kBackend) > 0 ||
      supervisor_.ChildCount(ProcessKind::kStartup) > 0 || supervisor_.DeadCount() > 0) {
    return;
  }
  // It changes pages: it must be gone before the store is closed.
  if (supervisor_.ChildCount(ProcessKind::kVacuum) > 0) {
    return supervisor_.Signal(ProcessKind::kVacuum, SIGTERM);
  }
  log::Info("all sessions have ended: closing the store");
  BeginClosing();
}

void Postmaster::AdvanceToEnd() {
  if (supervisor_.ChildCount() > supervisor_.ChildCount(kMonitor)) return;
  if (!monitor_ended_ && supervisor_.DeadCount() > 0) return;
  monitor_ended_ = true;
  auxiliaries_[static_cast<size_t>(kMonitor)].restart.reset();
  if (supervisor_.ChildCount() > 0) return supervisor_.Signal(kMonitor, SIGTERM);
  log::Notice("shut down cleanly");
  Finish(0);
}

void Postmaster::Finish(int exit_code) {
  exit_code_ = exit_code;
  RestartIncidents::WriteRest(DataDirectory::Path());
  context_.stop();
}

// -- Helpers

void Postmaster::StartAuxiliary(ProcessKind kind) {
  const Status started = supervisor_.Start(kind, [kind] { return GetAuxiliaryMain(kind)(); });
  if (started.ok()) return;
  log::Error("{}: {}", GetProcessKind(kind).name, started.error().message);
  ScheduleRestart(kind, auxiliaries_[static_cast<size_t>(kind)].backoff.max_delay_ms());
}

void Postmaster::ScheduleRestart(ProcessKind kind, int64_t delay_ms) {
  Auxiliary& auxiliary = auxiliaries_[static_cast<size_t>(kind)];
  auxiliary.restart = std::make_unique<asio::steady_timer>(context_);
  auxiliary.restart->expires_after(std::chrono::milliseconds(delay_ms));
  auxiliary.restart->async_wait([this, kind](const std::error_code& error) {
    // It may have expired before it was taken back.
    const bool in_vain = phase_ == Phase::kKilling || phase_ == Phase::kStarting;
    if (!error && !in_vain) StartAuxiliary(kind);
  });
}

// In one thread, after every change: who reads it may be wrong by what is under way.
void Postmaster::PublishConnectionCount() {
  Segment::Server().connection_count.store(
      static_cast<uint32_t>(supervisor_.ChildCount(ProcessKind::kBackend)));
}

template <typename Duration, typename Action>
void Postmaster::After(Duration delay, Action action) {
  deadline_.expires_after(delay);
  deadline_.async_wait([action](const std::error_code& error) {
    if (!error) action();
  });
}

int RunPostmaster(PostmasterParts parts) { return Postmaster(std::move(parts)).Run(); }

}  // namespace warren
