// Does the process array say who is there?
#include "shmem/proc.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

#include "tests/support/actors.h"
#include "tests/support/segment_world.h"

namespace warren::test {

TEST_CASE("a slot is given out under a new generation with nothing left of its former process") {
  const SegmentWorld world;
  const ProcArray procs = Segment::Procs();
  const Owner first = procs.GiveOut(5, ProcessKind::kBackend);
  CHECK(first.slot == 5);
  Proc& proc = procs[5];
  CHECK(proc.life.load() == ProcLife::kStarting);
  proc.op_start.store(17);
  proc.client.name.Set("a former client");
  proc.client.client_id.store(3);
  proc.locks.tranches[0].acquired.store(10);
  proc.life.store(ProcLife::kFree);
  const Owner second = procs.GiveOut(5, ProcessKind::kBackgroundWriter);
  CHECK(second.generation == first.generation + 1);
  CHECK(proc.kind.load() == ProcessKind::kBackgroundWriter);
  CHECK(proc.op_start.load() == 0);
  CHECK(proc.client.name.Get().empty());
  CHECK(proc.client.client_id.load() == 0);
  CHECK(proc.start_us.load() > 0);
  // Counters are sums over all processes of the slot.
  CHECK(proc.locks.tranches[0].acquired.load() == 10);
}

TEST_CASE("a free slot is found until there is none") {
  const SegmentWorld world;
  const ProcArray procs = Segment::Procs();
  for (size_t i = 0; i < procs.size(); ++i) {
    const SlotIndex slot = procs.FindFree();
    REQUIRE(slot == i);
    procs.GiveOut(slot, ProcessKind::kBackend);
  }
  CHECK(procs.FindFree() == kNoSlot);
  procs[3].life.store(ProcLife::kFree);
  CHECK(procs.FindFree() == 3);
  CHECK(procs.FindFree(4) == kNoSlot);
}

TEST_CASE("a process enters and leaves its slot itself") {
  const SegmentWorld world;
  const Owner owner = Segment::Procs().GiveOut(2, ProcessKind::kBackend);
  Child child([&] {
    Segment::BindProcess(2);
    ProcArray::EnterRunning();
    const bool right = ProcArray::SelfOwner() == owner &&
                       ProcArray::Self().pid.load() == getpid() &&
                       ProcArray::Self().life.load() == ProcLife::kRunning;
    ProcArray::EnterExited();
    return right;
  });
  CHECK(child.Succeeded());
  CHECK(Segment::Procs()[2].pid.load() == child.pid());
  CHECK(Segment::Procs()[2].life.load() == ProcLife::kExited);
}

TEST_CASE("the oldest operation is that of the slots in use") {
  const SegmentWorld world;
  const ProcArray procs = Segment::Procs();
  CHECK(procs.OldestOpStart(100) == 100);
  for (const SlotIndex slot : {1u, 2u, 3u}) procs.GiveOut(slot, ProcessKind::kBackend);
  procs[1].op_start.store(50);
  procs[2].op_start.store(40);
  CHECK(procs.OldestOpStart(100) == 40);
  procs[2].life.store(ProcLife::kDead);  // until it is repaired
  CHECK(procs.OldestOpStart(100) == 40);
  procs[2].life.store(ProcLife::kFree);
  CHECK(procs.OldestOpStart(100) == 50);
}

TEST_CASE("a shared text is cut to its place and always ends") {
  SharedText<8> text{};
  text.Set("123456789");
  CHECK(text.Get() == "1234567");
  text.Set("ab");
  CHECK(text.Get() == "ab");
  text.Set("");
  CHECK(text.Get().empty());
}

TEST_CASE("every process kind has a name and a help text") {
  for (const ProcessKindInfo& kind : ProcessKinds()) {
    CHECK_FALSE(kind.name.empty());
    CHECK_FALSE(kind.help.empty());
  }
  CHECK(GetProcessKind(ProcessKind::kBackend).name == "backend");
}

}  // namespace warren::test
