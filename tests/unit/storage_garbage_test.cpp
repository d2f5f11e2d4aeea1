// Garbage: when it becomes free pages, and when it must not.
#include <doctest/doctest.h>

#include "shmem/buffer_cache.h"
#include "storage/data_file.h"
#include "storage/leaf_change.h"
#include "storage/map_page.h"
#include "storage/overflow.h"
#include "storage/reclaim.h"
#include "storage/store_check.h"
#include "storage/tree.h"
#include "storage/tree_change.h"
#include "tests/support/actors.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr SlotIndex kOther = 5;

// A process that began an operation at `lsn` and is still at it.
void BeginOperationOfOther(Lsn lsn) {
  if (Segment::Procs()[kOther].life.load() == ProcLife::kFree) {
    (void)Segment::Procs().GiveOut(kOther, ProcessKind::kBackend);
  }
  Segment::Procs()[kOther].op_start.store(lsn);
}
void EndOperationOfOther() { Segment::Procs()[kOther].op_start.store(0); }

StoreTotals Totals() {
  StoreChecker checker;
  MustSucceed(checker.Run());
  return checker.totals();
}

void PutMany(int count, size_t value_bytes = 100) {
  for (int i = 0; i < count; ++i) Put(fmt::format("k{:06}", i), std::string(value_bytes, 'v'));
}

}  // namespace

TEST_CASE("erasing in any order gives nearly every page back") {
  for (const int order : {0, 1, 2}) {
    CAPTURE(order);
    StoreWorld world;
    constexpr int kCount = 30'000;
    PutMany(kCount);
    const uint64_t used = Totals().used_pages;
    for (int i = 0; i < kCount; ++i) {
      const int n = order == 0 ? i : order == 1 ? kCount - 1 - i : i * 7919 % kCount;
      REQUIRE(Erase(fmt::format("k{:06}", n)));
    }
    while (CollectGarbage(10'000) > 0) {
    }
    const StoreTotals totals = Totals();
    CHECK(totals.pending_pages == 0);
    CHECK(totals.used_pages < kFirstFreePage + used / 20);
  }
}

TEST_CASE("a queue of ever new keys does not make the file grow") {
  StoreWorld world;
  constexpr int kLength = 2000;
  for (int i = 0; i < kLength; ++i) Put(fmt::format("k{:09}", i), std::string(100, 'v'));
  const PageNo pages = DataFile::Get().page_count();
  for (int i = kLength; i < 60'000; ++i) {
    Put(fmt::format("k{:09}", i), std::string(100, 'v'));
    REQUIRE(Erase(fmt::format("k{:09}", i - kLength)));
  }
  CHECK(DataFile::Get().page_count() <= pages + 128);
  CHECK(Totals().used_pages < 120);
}

TEST_CASE("pages of an unlinked leaf wait for every operation that began before") {
  StoreWorld world;
  PutMany(3000);
  BeginOperationOfOther(Segment::Wal().insert.load());
  for (int i = 0; i < 3000; ++i) REQUIRE(Erase(fmt::format("k{:06}", i)));
  CHECK(CollectGarbage(10'000) == 0);
  CHECK(Totals().pending_pages > 20);
  BeginOperationOfOther(Segment::Wal().insert.load());
  CHECK(CollectGarbage(10'000) > 20);
  CHECK(Totals().pending_pages == 0);
  EndOperationOfOther();
}

TEST_CASE("a replaced value's chain waits for its readers, then makes room for the next one") {
  StoreWorld world;
  Put("k", std::string(500'000, 'a'));
  BeginOperationOfOther(Segment::Wal().insert.load());
  Put("k", std::string(500'000, 'b'));
  CHECK(Totals().pending_pages >= 500'000 / kOverflowBytesPerPage);
  EndOperationOfOther();
  for (int i = 0; i < 20; ++i) Put("k", std::string(500'000, static_cast<char>('c' + i)));
  CHECK(Get("k") == std::string(500'000, 'c' + 19));
  CHECK(DataFile::Get().page_count() < 5 * 500'000 / kPageBytes);
  CHECK(Totals().pending_pages == 0);
}

TEST_CASE(
    "a chain that is being built stays while its maker lives and is garbage when it is gone") {
  StoreWorld world;
  {
    Child maker([] {
      StoreWorld::BecomeProcess(3);
      return BuildChain(0, std::string(200'000, 'x')).ok();  // and dies without linking it
    });
    CHECK(maker.Succeeded());
  }
  CHECK(Segment::Procs()[3].life.load() == ProcLife::kRunning);
  CHECK(CollectGarbage(10'000) == 0);
  CHECK(Totals().pending_pages == 25);
  // Its commit may still be finished, and link it.
  Segment::Procs()[3].life.store(ProcLife::kDead);
  CHECK(CollectGarbage(10'000) == 0);
  Segment::Procs()[3].life.store(ProcLife::kFree);
  CHECK(CollectGarbage(10'000) == 25);
  CHECK(Totals().pending_pages == 0);
}

TEST_CASE("garbage of an earlier start is collected after it") {
  StoreWorld world;
  PutMany(3000);
  Put("large", std::string(100'000, 'x'));
  REQUIRE(BuildChain(0, std::string(100'000, 'y')).ok());
  BeginOperationOfOther(Segment::Wal().insert.load());
  for (int i = 0; i < 3000; ++i) REQUIRE(Erase(fmt::format("k{:06}", i)));
  MustSucceed(Store::Flush(0));
  CHECK(Totals().pending_pages > 20);
  world.Restart();
  while (CollectGarbage(10'000) > 0) {
  }
  CHECK(Totals().pending_pages == 0);
  CHECK(Totals().used_pages == kFirstFreePage);
}

TEST_CASE("a dropped tree whose freeing was cut short is freed by whoever comes next") {
  StoreWorld world;
  PutMany(20'000);
  for (int i = 0; i < 50; ++i) Put(fmt::format("large{}", i), std::string(20'000, 'x'));
  PageNo root = kNoPage;
  MustSucceed(RunSteps([&] { return DropTree(0, root); }));
  uint64_t pending = Totals().pending_pages;
  CHECK(pending > 400);
  while (pending > 0) {
    REQUIRE(CollectGarbage(20) > 0);
    const uint64_t left = Totals().pending_pages;  // and the rest is whole
    REQUIRE(left < pending);
    pending = left;
  }
  CHECK(Totals().used_pages == kFirstFreePage);
}

TEST_CASE("a writer that FLUSH overtook counts nothing, and its key goes with the old tree") {
  StoreWorld world;
  PutMany(3000);
  PageNo root = kNoPage;
  {
    const Operation operation;
    auto leaf = FindNodeExclusive(0, 0, {SearchTarget::kAt, "k000100x"});
    REQUIRE(leaf.ok());
    const auto dropped = DropTree(0, root);
    REQUIRE(dropped.ok());
    NewCell cell;
    cell.key = "k000100x";
    cell.value = "v";
    cell.expire_at_ms = 1'000'000;
    KeyLeftovers leftovers;
    const uint32_t slot = NodeView(leaf->bytes()).LowerBound(cell.key);
    const auto put = PutKey(*leaf, slot, false, cell, &leftovers);
    REQUIRE(put.ok());
    CHECK(*put == Step::kDone);
  }
  CHECK(Store::KeyCount(0) == 0);
  CHECK(Store::ExpiresCount(0) == 0);
  CHECK(Get("k000100x") == std::nullopt);
  Put("new", "v");
  CHECK(Store::KeyCount(0) == 1);
  FreeDroppedTree(root);
  CHECK(Totals().used_pages == kFirstFreePage + 1);
}

TEST_CASE("a discarded chain is free at once") {
  StoreWorld world;
  const auto head = BuildChain(0, std::string(100'000, 'x'));
  REQUIRE(head.ok());
  DiscardChain(*head);
  CHECK(Totals().pending_pages == 0);
}

TEST_CASE("the check finds a page that is used and not linked, and one that is linked and free") {
  StoreWorld world;
  PutMany(3000);
  Put("large", std::string(100'000, 'x'));
  for (const bool lost : {true, false}) {
    auto map = BufferCache::GetExclusive(MapPageOfGroup(0));
    REQUIRE(map.ok());
    auto& bits = *reinterpret_cast<MapPage*>(map->bytes());
    PageNo page_no = kFirstFreePage;
    const PageState from = lost ? PageState::kFree : PageState::kUsed;
    while (GetPageState(bits, page_no) != from) ++page_no;
    map->MarkDirty();
    SetPageState(bits, page_no, lost ? PageState::kUsed : PageState::kFree);
    map->Release();
    const Status status = Store::Check();
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().message.find(fmt::format("page {}: the allocation map", page_no)) !=
          std::string::npos);
    map = BufferCache::GetExclusive(MapPageOfGroup(0));
    SetPageState(*reinterpret_cast<MapPage*>(map->bytes()), page_no, from);
    map->Release();
    MustSucceed(Store::Check());
  }
}

}  // namespace warren::test
