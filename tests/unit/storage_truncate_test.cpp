// When does the data file get shorter, and what may be kept of what was behind?
#include "storage/truncate.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>

#include "base/fault_point.h"
#include "shmem/buffer_cache.h"
#include "shmem/stats.h"
#include "storage/mini_transaction.h"
#include "storage/page_space.h"
#include "storage/reclaim.h"
#include "storage/store_check.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

std::string KeyOf(int i) { return fmt::format("k{:06}", i); }

void Collect() {
  while (CollectGarbage(10'000) > 0) {
  }
}

PageNo Cut(EndSlack slack = EndSlack::kNone) {
  const Result<PageNo> cut = CutFreeEnd(slack);
  if (!cut.ok()) MustSucceed(cut.error());
  return *cut;
}

PageNo Pages() { return DataFile::Get().page_count(); }

void CheckStore() {
  const Status checked = Store::Check();
  CHECK_MESSAGE(checked.ok(), (checked.ok() ? "" : checked.error().message));
  CHECK(BufferCache::CheckInvariants().ok());
}

void FillAndEmpty(int count, uint32_t database = 0) {
  for (int i = 0; i < count; ++i) Put(KeyOf(i), std::string(100, 'v'), database);
  for (int i = 0; i < count; ++i) REQUIRE(Erase(KeyOf(i), database));
  Collect();
}

// Says in the map what no tree says.
void SetState(PageNo page_no, PageState state) {
  MapPages maps;
  MustSucceed(maps.Lock({page_no}));
  MiniTransaction change(RecordType::kFreePages, 0, 0);
  const FreePagesPayload payload{};
  maps.Set(change, page_no, state);
  change.AddPayload(payload);
  MustSucceed(change.Commit());
}

}  // namespace

TEST_CASE("a free end is cut off, and the file grows again when it is needed") {
  StoreWorld world;
  for (int round = 0; round < 3; ++round) {
    FillAndEmpty(20'000);
    const PageNo before = Pages();
    CHECK(before > 200);
    const PageNo cut = Cut();
    CHECK(cut == before - Pages());
    CHECK(Pages() < 30);
    CHECK(world.PagesOnDisk() == Pages());
    CheckStore();
    CHECK(Cut() == 0);
  }
  for (int i = 0; i < 3000; ++i) Put(KeyOf(i), std::string(100, 'v'));
  for (int i = 0; i < 3000; ++i) REQUIRE(Get(KeyOf(i)) == std::string(100, 'v'));
  CHECK(world.PagesOnDisk() == Pages());
  CheckStore();
}

TEST_CASE("the file ends behind its last page in use") {
  StoreWorld world;
  Put("below", std::string(3'000'000, 'b'));
  Put("last", std::string(50'000, 'l'));
  Cut();
  const PageNo end = Pages();
  REQUIRE(Erase("below"));
  Collect();
  CHECK(Cut() == 0);
  CHECK(Pages() == end);
  CHECK(Get("last") == std::string(50'000, 'l'));
  REQUIRE(Erase("last"));
  Collect();
  CHECK(Cut() > 360);
  CheckStore();
}

TEST_CASE("what is pending is not cut off") {
  StoreWorld world;
  Put("value", std::string(1'000'000, 'v'));
  (void)Segment::Procs().GiveOut(5, ProcessKind::kBackend);
  Segment::Procs()[5].op_start.store(Segment::Wal().insert.load());
  REQUIRE(Erase("value"));
  Collect();
  CHECK(Cut() < 128);
  CHECK(Pages() > 1'000'000 / kPageBytes);
  Segment::Procs()[5].op_start.store(0);
  Collect();
  CHECK(Cut() > 100);
  CheckStore();
}

TEST_CASE("unless asked for, a chunk stays and less than two are not cut") {
  StoreWorld world;
  Put("value", std::string(100'000, 'v'));
  Cut();
  const PageNo used = Pages();
  const PageNo chunk = DataFile::ChunkAt(used);
  MustSucceed(DataFile::Get().GrowTo(used + 2 * chunk - 1));
  CHECK(FreeEndPages(EndSlack::kOneChunk).value() == 0);
  CHECK(Cut(EndSlack::kOneChunk) == 0);
  MustSucceed(DataFile::Get().GrowTo(used + 2 * chunk));
  CHECK(FreeEndPages(EndSlack::kOneChunk).value() == chunk);
  CHECK(Cut(EndSlack::kOneChunk) == chunk);
  CHECK(Pages() == used + chunk);
  CHECK(Cut(EndSlack::kOneChunk) == 0);
  CHECK(Stats::Read(StatId::kPagesCutOff) > chunk);
}

TEST_CASE("no changed page beyond the end is left to be written") {
  StoreWorld world(2000);
  FillAndEmpty(20'000);
  CHECK(BufferCache::CountBuffers().dirty > 200);
  Cut();
  CHECK(BufferCache::CountBuffers().used <= Pages());
  MustSucceed(BufferCache::WriteAll());
  CHECK(world.PagesOnDisk() == Pages());
  CheckStore();
}

TEST_CASE("page numbers that were kept too long lead nowhere") {
  StoreWorld world;
  Put("first", std::string(3'000'000, 'f'));  // so that the others lie behind
  for (int i = 0; i < 3000; ++i) Put(KeyOf(i), std::string(100, 'v'), 1);
  std::vector<uint64_t> cursors;
  for (uint64_t cursor = 0;;) {
    cursor = Store::ScanStep(1, cursor, 100, 1, [](std::string_view) {}).value();
    if (cursor == 0) break;
    cursors.push_back(cursor);
  }
  CHECK(cursors.size() > 10);
  REQUIRE(Erase("first"));
  MustSucceed(Store::Flush(1));  // this process still takes the old root for the root
  const PageNo garbage = Pages() - 1;
  Collect();
  CHECK(Cut() > 300);
  CHECK(garbage >= Pages());
  CHECK(Get(KeyOf(1), 1) == std::nullopt);
  for (const uint64_t cursor : cursors) {
    const Result<uint64_t> next = Store::ScanStep(1, cursor, 100, 1, [](std::string_view) {});
    CHECK(next.ok());
  }
  CHECK(FreeChain(garbage, 100).value() == false);
  CheckStore();
  // The zeros that they have read are what the file has when it has grown over them again.
  Put("again", std::string(4'000'000, 'a'));
  CHECK(garbage < Pages());
  CHECK(Get("again") == std::string(4'000'000, 'a'));
  CheckStore();
}

TEST_CASE("a group's map page stays while any other page of the group is in use") {
  StoreWorld world;
  Put("key", "value");
  MustSucceed(DataDirectory::CloseCleanly());
  world.Stop();
  // Two more groups, and a page of a third.
  const PageNo third = 3 * kPagesPerMap;
  REQUIRE(truncate((world.path() + "/base/main").c_str(), off_t{third + 1} * kPageBytes) == 0);
  world.Start();
  CHECK(Pages() == third + 1);
  const PageNo group = 2 * kPagesPerMap;
  for (const PageNo used : {group + 500, group, group - 1}) {
    CAPTURE(used);
    SetState(used, PageState::kUsed);
    Cut();
    CHECK(Pages() == std::max(used + 1, MapPageOf(used) + 1));
    SharedPage map = BufferCache::GetShared(MapPageOf(used)).value();
    CHECK(GetPageState(map.As<MapPage>(), used) == PageState::kUsed);
    map.Release();
    SetState(used, PageState::kFree);
  }
  Cut();
  CHECK(Pages() < 30);
  CHECK(world.PagesOnDisk() == Pages());
  CheckStore();
  // The map of a group that was cut off is new when the file has grown over it.
  MustSucceed(DataFile::Get().GrowTo(group + 100));
  CHECK(FindFreePageAnywhere().value() != kNoPage);
  CheckStore();
}

TEST_CASE("after a cut that failed no checkpoint succeeds until the next start makes it") {
  for (const FaultPoint point :
       {FaultPoint::kCutDrop, FaultPoint::kCutFile, FaultPoint::kCutSync}) {
    CAPTURE(FaultPointName(point));
    StoreWorld world;
    FillAndEmpty(10'000);
    Put("key", "value");
    SetFaultAction(point, [](FaultPoint, void*) {
      return Status(MakeError(ErrorCode::kIo, "the disk says no"));
    });
    CHECK_FALSE(CutFreeEnd(EndSlack::kNone).ok());
    ClearFaultActions();
    const PageNo end = Pages();
    CHECK(end < 30);
    CHECK_FALSE(DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0).ok());
    CHECK(Get("key") == "value");
    world.Stop();
    world.Start();
    CHECK(world.PagesOnDisk() == end);
    CHECK(Pages() == end);
    CHECK(Get("key") == "value");
    CHECK(DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0).ok());
    CheckStore();
  }
}

}  // namespace warren::test
