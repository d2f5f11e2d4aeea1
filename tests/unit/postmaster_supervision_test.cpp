// The parts of supervision that need no server: statuses, verdicts, slots, restarts, descriptors.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "lwlock/repair.h"
#include "postmaster/aux_processes.h"
#include "postmaster/child_process.h"
#include "postmaster/crash_policy.h"
#include "postmaster/private_descriptors.h"
#include "postmaster/process_monitor.h"
#include "postmaster/slot_table.h"
#include "postmaster/unresponsive.h"
#include "postmaster/wait_status.h"
#include "tests/support/segment_world.h"

using namespace warren;

namespace {

int StatusOfChild(void (*body)()) {
  const pid_t pid = fork();
  if (pid == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return status;
}

int Killed(int signal) { return signal; }
int Exited(int code) { return code << 8; }

}  // namespace

TEST_CASE("an exit with 0 is orderly, one with another code or a kill from outside is bounded") {
  CHECK(ClassifyDeath(StatusOfChild([] { _exit(0); })) == DeathClass::kOrderly);
  CHECK(ClassifyDeath(StatusOfChild([] { _exit(3); })) == DeathClass::kBounded);
  CHECK(ClassifyDeath(StatusOfChild([] { raise(SIGKILL); })) == DeathClass::kBounded);
  for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGPIPE, SIGUSR1}) {
    CHECK(ClassifyDeath(Killed(signal)) == DeathClass::kBounded);
  }
}

TEST_CASE("a death by the process's own wrong instruction or check is wild") {
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGSYS, SIGTRAP}) {
    CHECK(ClassifyDeath(Killed(signal)) == DeathClass::kWild);
  }
}

TEST_CASE("a wait status is described with signal number and name") {
  CHECK(DescribeWaitStatus(Exited(3)) == "exited with code 3");
  CHECK(DescribeWaitStatus(Killed(SIGKILL)) == "killed by signal 9 (SIGKILL)");
  CHECK(DescribeWaitStatus(SIGSTOP << 8 | 0x7f) == "stopped by signal 19 (SIGSTOP)");
  CHECK(DescribeWaitStatus(Killed(40)) == "killed by signal 40");
}

TEST_CASE(
    "the server goes on after every death that is not wild, whatever it was in the middle of") {
  for (const auto death : {DeathClass::kOrderly, DeathClass::kBounded, DeathClass::kWild}) {
    for (const bool ended : {false, true}) {
      for (const bool locks : {false, true}) {
        for (const bool pages : {false, true}) {
          const DeathFacts facts{death, ended, locks, pages};
          const bool in_order = death == DeathClass::kOrderly && ended && !locks && !pages;
          const auto goes_on = [&](CrashContainment containment) {
            return JudgeDeath(facts, containment) != CrashVerdict::kStopServer;
          };
          CHECK(goes_on(CrashContainment::kAuto) == (death != DeathClass::kWild));
          CHECK(goes_on(CrashContainment::kTrusting));
          CHECK(goes_on(CrashContainment::kStrict) == in_order);
        }
      }
    }
  }
}

TEST_CASE("only a process that came to its end leaves nothing to clear away") {
  const auto judge = [](const DeathFacts& facts) {
    return JudgeDeath(facts, CrashContainment::kAuto);
  };
  CHECK(judge({DeathClass::kOrderly, true, false, false}) == CrashVerdict::kFreeSlot);
  CHECK(judge({DeathClass::kOrderly, true, true, false}) == CrashVerdict::kRepair);
  CHECK(judge({DeathClass::kOrderly, false, false, false}) == CrashVerdict::kRepair);
  CHECK(judge({DeathClass::kBounded, true, false, false}) == CrashVerdict::kRepair);
  CHECK(judge({DeathClass::kBounded, false, false, false}) == CrashVerdict::kRepair);
}

TEST_CASE("too many deaths in the middle of something within a while stop the server") {
  DeathBreaker breaker;
  for (int i = 0; i < 3; ++i) CHECK(breaker.MayGoOn(1000 + i, 3, 500));
  CHECK_FALSE(breaker.MayGoOn(1003, 3, 500));
  CHECK(breaker.MayGoOn(1504, 3, 500));  // two are within 500 ms, this one with them
  DeathBreaker none;
  for (int i = 0; i < 100; ++i) CHECK(none.MayGoOn(i, 0, 500));
}

namespace {

// The wait status of a child in slot 1 that runs `body`, and whether its abort was declared clean.
bool AbortsCleanly(int (*body)()) {
  const Owner owner = Segment::Procs().GiveOut(1, ProcessKind::kBackend);
  const pid_t postmaster = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    std::signal(SIGABRT, SIG_DFL);  // doctest has a handler
    // On a stack of its own, as in the server: there is nobody who would catch, this test included.
    std::thread([&] {
      RunChild({postmaster, owner.slot, ProcessKind::kBackend, {}}, body);
    }).join();
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFSIGNALED(status));
  REQUIRE(WTERMSIG(status) == SIGABRT);
  const bool clean = DeclaredClean(owner.slot, status);
  CHECK((ExamineDead(owner.slot, status).death == DeathClass::kBounded) == clean);
  Segment::Procs()[owner.slot].life.store(ProcLife::kFree);
  return clean;
}

}  // namespace

TEST_CASE("an exception that nobody caught is a clean death unless locks are held") {
  const test::SegmentWorld world;
  CHECK(AbortsCleanly([]() -> int { throw std::runtime_error("nobody catches this"); }));
  CHECK(!AbortsCleanly([]() -> int {
    AcquireExclusive(Segment::SettingsLock());
    throw std::runtime_error("nor this");
  }));
  CHECK(!AbortsCleanly([]() -> int { std::abort(); }));
  CHECK(!AbortsCleanly([]() -> int { std::terminate(); }));
}

TEST_CASE("one that was told to end is killed once, when its time is up") {
  const test::SegmentWorld world;
  const Owner owner = Segment::Procs().GiveOut(1, ProcessKind::kBackend);
  const std::vector<Child> children = {Child{}, Child{.pid = 77, .owner = owner}};
  EndRequests requests;
  int killed = 0;
  const auto look = [&](int64_t now_ms) {
    return requests.Look(children, now_ms, [&](const Child&) { ++killed; });
  };
  CHECK(!look(1000));
  Segment::Procs()[1].end_requested.store(owner.generation - 1);  // meant for somebody else
  CHECK(!look(1000));
  Segment::Procs()[1].end_requested.store(owner.generation);
  CHECK(look(2000) == kEndGraceMs);
  CHECK(look(3000) == kEndGraceMs - 1000);
  CHECK(killed == 0);
  CHECK(!look(2000 + kEndGraceMs));
  CHECK(!look(3000 + kEndGraceMs));
  CHECK(killed == 1);
  // A later process with the same number has its own time.
  requests.Look({}, 9000, [](const Child&) {});
  CHECK(look(10000) == kEndGraceMs);
}

TEST_CASE("one that is stopped again soon is not continued") {
  StopRecord stops;
  CHECK(stops.MayContinue(7, 1000));
  CHECK(stops.MayContinue(8, 1000));
  CHECK(!stops.MayContinue(7, 1000 + StopRecord::kSoonMs - 1));
  CHECK(stops.MayContinue(8, 1000 + StopRecord::kSoonMs));
  stops.Forget(7);
  CHECK(stops.MayContinue(7, 2000));
}

TEST_CASE("every tranche of the server has a repair") {
  RegisterAllRepairs();
  for (size_t i = 0; i < kTrancheCount; ++i) {
    const auto tranche = static_cast<TrancheId>(i);
    const std::string name(GetTranche(tranche).name);
    CAPTURE(name);
    CHECK((GetRepair(tranche) != nullptr) == !name.starts_with("test"));
  }
}

TEST_CASE("a repair of which the process monitor died is tried again once") {
  RepairBreaker breaker;
  CHECK(breaker.MayTryAgain(0));  // it was doing nothing
  CHECK(breaker.MayTryAgain(0));
  CHECK(breaker.MayTryAgain(Pack({5, 1})));
  CHECK(breaker.MayTryAgain(0));
  CHECK(!breaker.MayTryAgain(Pack({5, 1})));
  CHECK(breaker.MayTryAgain(Pack({5, 2})));  // another process in the same slot
  CHECK(breaker.MayTryAgain(Pack({6, 2})));
}

TEST_CASE("the lowest free slot is given out first") {
  SlotTable table(130);
  for (SlotIndex slot = 0; slot < 130; ++slot) CHECK(table.Take() == slot);
  CHECK(!table.Take());
  table.Free(100);
  table.Free(7);
  CHECK(table.Take() == SlotIndex{7});
  CHECK(table.Take() == SlotIndex{100});
  CHECK(!table.Take());
}

TEST_CASE("a dead process's slot is free when its repair says so, not before") {
  SlotTable table(4);
  const SlotIndex first = *table.Take(), second = *table.Take();
  CHECK(table.FreeCount() == 2);
  table.AwaitRepair(first);
  table.AwaitRepair(second);
  CHECK(!table.FreeRepaired([](SlotIndex) { return false; }));
  CHECK(table.DeadCount() == 2);
  CHECK(table.FreeCount() == 2);
  CHECK(table.FreeRepaired([&](SlotIndex slot) { return slot == second; }));
  CHECK(table.DeadCount() == 1);
  CHECK(table.Take() == second);
  CHECK(table.FreeRepaired([](SlotIndex) { return true; }));
  CHECK(table.DeadCount() == 0);
  CHECK(table.Take() == first);
}

TEST_CASE("children are found by pid and counted by kind") {
  SlotTable table(8);
  const SlotIndex first = *table.Take(), second = *table.Take();
  table.AddChild({.pid = 100, .owner = {first, 1}, .kind = ProcessKind::kBackend});
  table.AddChild({.pid = 101, .owner = {second, 5}, .kind = ProcessKind::kStartup});
  REQUIRE(table.FindChild(101) != nullptr);
  CHECK(table.FindChild(101)->owner == Owner{second, 5});
  CHECK(table.FindChild(102) == nullptr);
  CHECK(table.ChildCount() == 2);
  CHECK(table.ChildCount(ProcessKind::kBackend) == 1);
  table.RemoveChild(100);
  CHECK(table.ChildCount(ProcessKind::kBackend) == 0);
  CHECK(table.FindChild(100) == nullptr);
  CHECK(table.Take() == SlotIndex{2});  // the removed child's slot is taken until it is freed
  table.Free(first);
  CHECK(table.Take() == first);
}

TEST_CASE("a process that dies soon after each start is started again ever later, up to a limit") {
  RestartBackoff backoff;
  CHECK(backoff.NextDelayMs(5) == 0);
  int64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    const int64_t delay = backoff.NextDelayMs(5);
    CHECK(delay >= last);
    CHECK(delay > 0);
    last = delay;
  }
  CHECK(last == RestartBackoff::kMaxDelayMs);
  CHECK(backoff.NextDelayMs(RestartBackoff::kSoonMs) == 0);
  CHECK(backoff.NextDelayMs(5) == 0);
}

TEST_CASE("every kind of process but the backend has a main function") {
  for (size_t kind = 0; kind < ProcessKinds().size(); ++kind) {
    if (static_cast<ProcessKind>(kind) == ProcessKind::kBackend) continue;
    const bool has_main = GetAuxiliaryMain(static_cast<ProcessKind>(kind)) != nullptr;
    CHECK(has_main);
  }
}

TEST_CASE("descriptors made between two looks are found as ranges and closed, the others stay") {
  const int before_fd = open("/dev/null", O_RDONLY);
  const std::vector<int> before = OpenDescriptors();
  CHECK(std::find(before.begin(), before.end(), before_fd) != before.end());
  const int a = open("/dev/null", O_RDONLY), b = open("/dev/null", O_RDONLY);
  const auto ranges = NewDescriptors(before, OpenDescriptors());
  size_t count = 0;
  for (const DescriptorRange& range : ranges)
    count += static_cast<size_t>(range.last - range.first + 1);
  CHECK(count == 2);
  CHECK(ranges.size() <= 2);
  CloseDescriptors(ranges);
  CHECK(fcntl(a, F_GETFD) == -1);
  CHECK(fcntl(b, F_GETFD) == -1);
  CHECK(fcntl(before_fd, F_GETFD) == 0);
  close(before_fd);
  CHECK(NewDescriptors({1, 4}, {1, 2, 3, 4, 6, 7, 9}).size() == 3);
}
