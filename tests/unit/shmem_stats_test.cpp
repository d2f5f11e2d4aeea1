// Are counts sums over all who ever counted?
#include "shmem/stats.h"

#include <doctest/doctest.h>

#include <set>
#include <string_view>

#include "tests/support/actors.h"
#include "tests/support/segment_world.h"

namespace warren::test {

TEST_CASE("a total is the sum over processes, dead ones and the postmaster included") {
  const SegmentWorld world;
  CHECK(RunActors(ActorForm::kProcesses, 4, [](int me) {
    Segment::BindProcess(static_cast<SlotIndex>(me + 1));
    for (int i = 0; i < 1000; ++i) Stats::Add(StatId::kCommands);
    Stats::Add(StatId::kInputBytes, 12);
    return true;
  }));
  Stats::BindPostmaster();
  Stats::Add(StatId::kCommands, 5);
  CHECK(Stats::Read(StatId::kCommands) == 4005);
  CHECK(Stats::Read(StatId::kInputBytes) == 48);
  CHECK(Stats::Read(StatId::kOutputBytes) == 0);
}

TEST_CASE("a later process in a slot goes on counting") {
  const SegmentWorld world;
  for (int i = 0; i < 3; ++i) {
    Child child([] {
      Segment::BindProcess(1);
      Stats::Add(StatId::kCommands);
      return true;
    });
    REQUIRE(child.Succeeded());
  }
  CHECK(Stats::Read(StatId::kCommands) == 3);
}

TEST_CASE("commands are counted each for itself") {
  const SegmentWorld world;
  Stats::AddCommand(1, 30, false);
  Stats::AddCommand(1, 12, true);
  Stats::AddRejected(1);
  Stats::AddCommand(3, 1, false);
  const Stats::CommandTotals totals = Stats::ReadCommand(1);
  CHECK(totals.calls == 2);
  CHECK(totals.microseconds == 42);
  CHECK(totals.failed == 1);
  CHECK(totals.rejected == 1);
  CHECK(Stats::ReadCommand(3).calls == 1);
  CHECK(Stats::ReadCommand(0).calls == 0);
}

TEST_CASE("error replies are counted by their first word") {
  const SegmentWorld world;
  Stats::AddError("WRONGTYPE Operation against a key");
  Stats::AddError("ERR no such thing");
  Stats::AddError("ERR");
  Stats::AddError("STRANGE thing");
  const auto names = ErrorKindNames();
  CHECK(names[ErrorKindOf("WRONGTYPE x")] == "WRONGTYPE");
  CHECK(names[ErrorKindOf("other")] == "other");
  CHECK(names[ErrorKindOf("")] == "other");
  CHECK(Stats::ReadError(ErrorKindOf("ERR x")) == 2);
  CHECK(Stats::ReadError(ErrorKindOf("STRANGE")) == 1);
  CHECK(Stats::Read(StatId::kErrors) == 4);
}

TEST_CASE("a reset starts every count at zero and later ones are counted from there") {
  const SegmentWorld world;
  const auto lock_settings = [] { const ExclusiveLock lock(Segment::SettingsLock()); };
  Stats::Add(StatId::kCommands, 7);
  Stats::AddCommand(2, 10, true);
  Stats::AddError("ERR x");
  lock_settings();
  const auto settings = static_cast<size_t>(TrancheId::kSettings);
  CHECK(Stats::ReadTranche(settings).acquired == 1);
  Stats::Reset();
  CHECK(Stats::Read(StatId::kCommands) == 0);
  CHECK(Stats::ReadCommand(2).calls == 0);
  CHECK(Stats::ReadCommand(2).microseconds == 0);
  CHECK(Stats::ReadError(0) == 0);
  CHECK(Stats::ReadTranche(settings).acquired == 0);
  Stats::Add(StatId::kCommands, 2);
  lock_settings();
  CHECK(Stats::Read(StatId::kCommands) == 2);
  CHECK(Stats::ReadTranche(settings).acquired == 1);
  CHECK(Stats::TimeoutsOnFreeLock() == 0);
}

TEST_CASE("a process without a block counts nothing and does no harm") {
  const SegmentWorld world;
  Stats::Unbind();
  Stats::Add(StatId::kCommands);
  Stats::AddCommand(0, 1, false);
  Stats::AddRejected(0);
  Stats::AddError("ERR");
  CHECK(Stats::Read(StatId::kCommands) == 0);
}

TEST_CASE("blocks of different processes share no cache line") {
  const SegmentWorld world;
  CHECK(Stats::BlocksBytes(9, 3) % (10 * kCacheLineBytes) == 0);
  CHECK(reinterpret_cast<uintptr_t>(Segment::StatBlocks()) % kCacheLineBytes == 0);
}

}  // namespace warren::test
