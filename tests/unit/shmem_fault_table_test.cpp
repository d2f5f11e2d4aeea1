// Does a set fault point do what was said, to whom and how often?
#include "shmem/fault_table.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <string>

#include "shmem/latch.h"
#include "tests/support/actors.h"
#include "tests/support/segment_world.h"

namespace warren::test {
namespace {

constexpr FaultPoint kPoint = FaultPoint::kBufferWrite;

// A segment in which this process heeds the table.
class FaultWorld {
 public:
  FaultWorld() {
    Segment::Procs().GiveOut(0, ProcessKind::kBackend);
    ProcArray::EnterRunning();
    FaultTable::Enable();
  }
  ~FaultWorld() { SetSharedFaultAction(nullptr); }
  FaultWorld(const FaultWorld&) = delete;
  FaultWorld& operator=(const FaultWorld&) = delete;

 private:
  SegmentWorld world_;
};

Status ComeToPoint() {
  RETURN_IF_FAULT(kBufferWrite);
  return {};
}

int FailuresIn(int passes) {
  int failures = 0;
  for (int i = 0; i < passes; ++i) failures += ComeToPoint().ok() ? 0 : 1;
  return failures;
}

// The wait status of a process of slot 1 that comes to the point.
int StatusOfOther(ProcessKind kind) {
  Proc& proc = Segment::Procs()[1];
  proc.life.store(ProcLife::kFree);
  Segment::Procs().GiveOut(1, kind);
  const pid_t pid = fork();
  if (pid == 0) {
    std::signal(SIGABRT, SIG_DFL);  // doctest has a handler
    Segment::BindProcess(1);
    ProcArray::EnterRunning();
    _exit(ComeToPoint().ok() ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return status;
}

}  // namespace

TEST_CASE("a point does nothing until it is set and after it is cleared") {
  const FaultWorld world;
  CHECK(FailuresIn(3) == 0);
  FaultTable::Set(kPoint, {.kind = FaultKind::kError});
  CHECK(FailuresIn(3) == 3);
  CHECK(FaultTable::Clear(kPoint));
  CHECK(!FaultTable::Clear(kPoint));
  CHECK(FailuresIn(3) == 0);
  CHECK(FaultTable::Counts(kPoint).hits == 9);
}

TEST_CASE("AFTER and TIMES count over all processes") {
  const FaultWorld world;
  FaultTable::Set(kPoint, {.kind = FaultKind::kError, .after = 2, .times = 3});
  CHECK(FailuresIn(1) == 0);
  CHECK(StatusOfOther(ProcessKind::kBackend) == 0);       // the second that passes
  CHECK(StatusOfOther(ProcessKind::kBackend) == 1 << 8);  // the first that does not
  CHECK(FailuresIn(5) == 2);
  CHECK(FaultTable::Counts(kPoint).fired == 3);
  FaultTable::Set(kPoint, {.kind = FaultKind::kError, .times = 1});  // counted anew
  CHECK(FailuresIn(5) == 1);
}

TEST_CASE("PROBABILITY lets some pass and some not") {
  const FaultWorld world;
  FaultTable::Set(kPoint, {.kind = FaultKind::kError, .probability = 0.5});
  const int failures = FailuresIn(1000);
  CHECK(failures > 300);
  CHECK(failures < 700);
}

TEST_CASE("a point for one client, process or kind lets all others pass") {
  const FaultWorld world;
  const PackedOwner self = Pack(ProcArray::SelfOwner());
  FaultTable::Set(kPoint, {.kind = FaultKind::kError, .whom = FaultFor::kClient, .owner = self});
  CHECK(StatusOfOther(ProcessKind::kBackend) == 0);
  CHECK(FailuresIn(1) == 1);
  // A later process of the same slot is somebody else.
  FaultTable::Set(
      kPoint,
      {.kind = FaultKind::kError, .whom = FaultFor::kProcess, .owner = self + (uint64_t{1} << 32)});
  CHECK(FailuresIn(1) == 0);
  FaultTable::Set(kPoint, {.kind = FaultKind::kError,
                           .whom = FaultFor::kKind,
                           .number = static_cast<uint64_t>(ProcessKind::kVacuum)});
  CHECK(FailuresIn(1) == 0);
  CHECK(StatusOfOther(ProcessKind::kVacuum) == 1 << 8);
}

TEST_CASE("kill, segv and abort end the process by their signals") {
  const FaultWorld world;
  FaultTable::Set(kPoint, {.kind = FaultKind::kKill});
  CHECK(WTERMSIG(StatusOfOther(ProcessKind::kBackend)) == SIGKILL);
  FaultTable::Set(kPoint, {.kind = FaultKind::kSegv});
  CHECK(WTERMSIG(StatusOfOther(ProcessKind::kBackend)) == SIGSEGV);
  const Proc& proc = Segment::Procs()[1];
  CHECK(proc.declared_clean.load() != proc.generation.load());
  FaultTable::Set(kPoint, {.kind = FaultKind::kAbort});
  CHECK(WTERMSIG(StatusOfOther(ProcessKind::kBackend)) == SIGABRT);
  CHECK(proc.declared_clean.load() == proc.generation.load());
}

TEST_CASE("a row whose writer was killed in the middle is not set, and can be set again") {
  const FaultWorld world;
  FaultTable::Set(kPoint, {.kind = FaultKind::kError});
  FaultRow& row = Segment::Faults()[static_cast<size_t>(kPoint)];
  row.version.fetch_add(1);
  CHECK(FailuresIn(1) == 0);
  CHECK(DescribeFault(FaultTable::Read(kPoint)) == "off");
  FaultTable::Set(kPoint, {.kind = FaultKind::kError});
  CHECK(FailuresIn(1) == 1);
}

TEST_CASE(
    "a hang ends when the point is cleared, or the process told to end while it holds nothing") {
  const FaultWorld world;
  const ProcArray procs = Segment::Procs();
  for (const bool told : {false, true}) {
    FaultTable::Set(kPoint, {.kind = FaultKind::kHang});
    procs[1].life.store(ProcLife::kFree);
    const Owner owner = procs.GiveOut(1, ProcessKind::kBackend);
    Child child([] {
      Segment::BindProcess(1);
      ProcArray::EnterRunning();
      return ComeToPoint().ok();
    });
    const auto hangs = [&] {
      return WaitEventText(procs[1].locks.wait_event.load()) == "fault_point";
    };
    REQUIRE(WaitFor(hangs));
    if (told) {
      procs[1].end_requested.store(owner.generation);
    } else {
      FaultTable::Clear(kPoint);
    }
    CHECK(child.Succeeded());
  }
}

TEST_CASE("a setting is described as FAULT SET takes it") {
  CHECK(DescribeFault({}) == "off");
  CHECK(DescribeFault({.kind = FaultKind::kDelay,
                       .delay_ms = 20,
                       .after = 1,
                       .times = 2,
                       .probability = 0.25,
                       .whom = FaultFor::kClient,
                       .number = 7}) == "delay 20 after 1 times 2 probability 0.25 client 7");
  CHECK(FindFaultKind("HANG") == FaultKind::kHang);
  CHECK(!FindFaultKind("off"));
}

}  // namespace warren::test
