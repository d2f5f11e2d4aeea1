#include "tests/crash/sweep_processes.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "backend/connection.h"
#include "base/fault_point.h"
#include "lwlock/lwlock.h"
#include "postmaster/aux_processes.h"
#include "postmaster/child_process.h"
#include "shmem/segment.h"
#include "tests/crash/sweep_another.h"
#include "tests/crash/sweep_commands.h"
#include "tests/crash/sweep_point.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

// As Supervisor::Start does it, but for the fork: this process is the child.
[[noreturn]] void BecomeProcess(ProcessKind kind, FunctionRef<int()> body) {
  (void)Segment::Procs().GiveOut(kDeadSlot, kind);
  CoverSlot(Segment::Locks(), kDeadSlot);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  // The last point before _exit.
  SetFaultAction(FaultPoint::kProcessExit, [](FaultPoint, void*) -> Status { EndRecording(); });
  const std::vector<DescriptorRange> none;
  RunChild({getppid(), kDeadSlot, kind, none}, body);
}

// -- Backends.

// The server's end of a connection whose client has sent all that it ever sends, and never reads.
int ConnectionWith(const std::vector<std::string>& lines) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  std::string bytes;
  for (const std::string& line : lines) {
    const std::vector<std::string> words = WordsOf(line);
    bytes += fmt::format("*{}\r\n", words.size());
    for (const std::string& word : words) bytes += fmt::format("${}\r\n{}\r\n", word.size(), word);
  }
  if (write(ends[1], bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    std::abort();
  if (shutdown(ends[1], SHUT_WR) != 0) std::abort();
  return ends[0];
}

[[noreturn]] void Serve(const std::vector<std::string>& lines) {
  const int socket_fd = ConnectionWith(lines);
  BecomeProcess(ProcessKind::kBackend, [socket_fd] { return BackendMain(socket_fd); });
}

// From before it has a slot until it has ended.
Operation WholeSession(std::string name, std::function<void()> set_up,
                       const std::vector<std::string>& lines, Effect effect) {
  return {.name = "process: a backend " + std::move(name),
          .set_up =
              [set_up] {
                MakeFurniture();
                set_up();
              },
          .run =
              [lines] {
                BeginRecording();
                Serve(lines);
              },
          .effect = effect,
          .whole_process = true};
}

// From the moment on at which its client has gone. By then another one waits for its lock `name`.
Operation SessionEnd(std::string name, const std::vector<std::string>& lines) {
  return {.name = "process: a session ends " + std::move(name),
          .set_up = MakeFurniture,
          .run =
              [lines] {
                SetFaultAction(FaultPoint::kSessionEnd, [](FaultPoint, void*) -> Status {
                  WaitForLock(AdvisoryTag("name"));
                  BeginRecording();
                  return {};
                });
                Serve(lines);
              },
          .effect = Effect::kNone,
          .whole_process = true};
}

std::vector<Operation> Backends() {
  const auto dies_with_locks = [] {
    Fill(6);
    LetDieAt(kDeadSlot, FaultPoint::kCommitChange, 1, CommitSeveral);
    RepairSlot(kDeadSlot);
  };
  const auto dies_with_chain = [] {
    LetDieAt(kDeadSlot, FaultPoint::kChangeDone, 3, [] { Put("large", Filled(200'000, 'l')); });
    RepairSlot(kDeadSlot);
  };
  return {
      WholeSession(
          "that finds its client gone", [] {}, {}, Effect::kNone),
      WholeSession(
          "of one change", [] {}, {"SET a changed", "QUIT"}, Effect::kWhole),
      WholeSession("in the slot of one that died in a commit", dies_with_locks,
                   {"MSET a 2 b 3 fresh 4"}, Effect::kWhole),
      WholeSession("in the slot of one that died with a chain", dies_with_chain, {"SET a $L"},
                   Effect::kWhole),
      SessionEnd("with a lock", {"LOCK name"}),
      SessionEnd("in a transaction", {"BEGIN", "SET a $L", "GETLOCK b", "LOCK name TRANSACTION",
                                      "TRYLOCK other TTL 100000"}),
  };
}

// -- Auxiliary processes. They are told to end before they begin, so that they start and end.

Operation Auxiliary(ProcessKind kind, bool shutdown) {
  return {.name = fmt::format("process: the {}{}", GetProcessKind(kind).name,
                              shutdown ? " in a shutdown" : ", told to end"),
          .set_up =
              [shutdown] {
                Fill(6);
                if (!shutdown) return;
                Segment::Server().phase.store(static_cast<uint32_t>(ServerPhase::kShuttingDown));
              },
          .run =
              [kind] {
                BeginRecording();
                sigset_t terminate;
                sigemptyset(&terminate);
                sigaddset(&terminate, SIGTERM);
                sigprocmask(SIG_BLOCK, &terminate, nullptr);
                raise(SIGTERM);
                BecomeProcess(kind, GetAuxiliaryMain(kind));
              },
          .effect = Effect::kNone,
          .whole_process = true};
}

// It is told to end when the dead one's slot is about to be free.
Operation Monitor(std::string over, FaultPoint point, int passes, std::function<void()> body) {
  return {.name = "process: the process monitor over " + std::move(over),
          .set_up =
              [=] {
                Fill(6);
                LetDieAt(kOtherSlot, point, passes, body);
              },
          .run =
              [] {
                SetFaultAction(FaultPoint::kRepairFree, [](FaultPoint, void*) -> Status {
                  raise(SIGTERM);
                  return {};
                });
                BeginRecording();
                BecomeProcess(ProcessKind::kProcessMonitor,
                              GetAuxiliaryMain(ProcessKind::kProcessMonitor));
              },
          .effect = Effect::kNone,
          .whole_process = true,
          .by_monitor = true};
}

}  // namespace

std::vector<Operation> ProcessOperations() {
  std::vector<Operation> all = Backends();
  for (const ProcessKind kind : {ProcessKind::kWalWriter, ProcessKind::kArchiver,
                                 ProcessKind::kBackgroundWriter, ProcessKind::kVacuum}) {
    all.push_back(Auxiliary(kind, /*shutdown=*/true));
  }
  // In a shutdown it closes the store, and then nobody goes on.
  all.push_back(Auxiliary(ProcessKind::kCheckpointer, /*shutdown=*/false));
  all.push_back(Monitor("a change in the log", FaultPoint::kChangeCount, 0,
                        [] { Put(KeyNo(2), Filled(1000, 'p')); }));
  all.push_back(Monitor("a commit half made", FaultPoint::kCommitChange, 1, CommitSeveral));
  return all;
}

}  // namespace warren::test
