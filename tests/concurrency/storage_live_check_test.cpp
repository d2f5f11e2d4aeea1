// Does the check of a store in use see no fault where there is none, and the ones that there are?
#include "storage/live_check.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <random>

#include "shmem/buffer_cache.h"
#include "storage/live_tree_check.h"
#include "storage/map_page.h"
#include "storage/node.h"
#include "storage/tree.h"
#include "storage/wal.h"
#include "tests/support/actors.h"
#include "tests/support/shared_region.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr int kActors = 5;

constexpr auto GoOn = [] { return true; };

void ForBothForms(FunctionRef<void(ActorForm)> test) {
  SUBCASE("as threads") { test(ActorForm::kThreads); }
  SUBCASE("as processes") { test(ActorForm::kProcesses); }
}

struct Shared {
  std::atomic<int> at_work;
  std::atomic<int> checks;
  std::atomic<int> busy_checks;  // with changes made meanwhile
};

// Fills and empties ranges, so that pages are split and unlinked all the time.
bool Work(int actor, int rounds) {
  std::mt19937_64 random(static_cast<uint64_t>(actor));
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 400; ++i) {
      const uint64_t kind = random() % 60;
      const size_t bytes = kind == 0 ? 30'000 : kind < 4 ? 1500 : 60;
      Put(fmt::format("k{:05}:{}", i, actor), std::string(bytes, 'v'));
    }
    for (int i = 0; i < 400; ++i) {
      if (random() % 10 != 0) (void)Erase(fmt::format("k{:05}:{}", i, actor));
    }
    if (actor == 1 && round % 4 == 3) MustSucceed(Store::Flush(0));
    if (actor == 2 && round % 3 == 0) {
      const auto done = DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0);
      if (!done.ok()) return false;
    }
  }
  return true;
}

bool CheckUntilDone(Shared& shared) {
  do {
    const Result<LiveReport> report = CheckRunningStore(GoOn);
    if (!report.ok()) {
      std::fprintf(stderr, "%s\n", report.error().message.c_str());
      return false;
    }
    for (const std::string& fault : report->faults.lines()) {
      std::fprintf(stderr, "%s\n", fault.c_str());
    }
    if (!report->faults.empty()) return false;
    shared.checks.fetch_add(1);
    if (!report->complete) shared.busy_checks.fetch_add(1);
  } while (shared.at_work.load() > 0);
  return true;
}

std::vector<std::string> FaultsSeen() {
  LiveReport report;
  MustSucceed(CheckRunningTrees(report, GoOn));
  MustSucceed(CheckRunningMap(report, GoOn));
  return report.faults.lines();
}

bool AnyContains(const std::vector<std::string>& lines, const std::string& part) {
  return std::ranges::any_of(
      lines, [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

// Changes a page behind everybody's back while it lives.
class Damage {
 public:
  Damage(PageNo page_no, FunctionRef<void(std::byte*)> change) : page_no_(page_no) {
    Result<ExclusivePage> page = BufferCache::GetExclusive(page_no);
    REQUIRE(page.ok());
    std::memcpy(former_, page->bytes(), kPageBytes);
    page->MarkDirty();
    change(page->bytes());
  }
  ~Damage() {
    Result<ExclusivePage> page = BufferCache::GetExclusive(page_no_);
    if (page.ok()) std::memcpy(page->bytes(), former_, kPageBytes);
  }

 private:
  PageNo page_no_;
  std::byte former_[kPageBytes];
};

PageNo LeafOf(const std::string& key) {
  const Operation operation;
  Result<SharedPage> leaf = FindNodeShared(0, 0, {SearchTarget::kAt, key});
  REQUIRE(leaf.ok());
  return leaf->page_no();
}

PageNo ParentOf(const std::string& key) {
  const Operation operation;
  Result<SharedPage> parent = FindNodeShared(0, 1, {SearchTarget::kAt, key});
  REQUIRE(parent.ok());
  return parent->page_no();
}

PageNo ChainOf(const std::string& key) {
  const Operation operation;
  Result<SharedPage> leaf = FindNodeShared(0, 0, {SearchTarget::kAt, key});
  REQUIRE(leaf.ok());
  const NodeView node(leaf->bytes());
  return node.Leaf(node.Locate(key).slot).overflow_head();
}

}  // namespace

TEST_CASE("a check sees no fault while others write, split, empty, flush and make checkpoints") {
  ForBothForms([](ActorForm form) {
    StoreWorld world(200);
    SharedRegion region(4096);
    Shared* const shared = region.Allocate<Shared>();
    shared->at_work = kActors - 1;
    CHECK(RunActors(form, kActors, [&](int actor) {
      const auto slot = static_cast<SlotIndex>(actor + 1);
      StoreWorld::BecomeProcess(slot);
      const bool good = actor == 0 ? CheckUntilDone(*shared) : Work(actor, FullForm() ? 60 : 12);
      if (actor != 0) shared->at_work.fetch_sub(1);
      const bool nothing_held = HeldLockCount() == 0 && ProcArray::Self().op_start.load() == 0;
      StoreWorld::LeaveProcess(slot);
      return good && nothing_held;
    }));
    MESSAGE(shared->checks.load(), " checks, ", shared->busy_checks.load(), " beside changes");
    CHECK(shared->checks.load() >= 2);
    CHECK(shared->busy_checks.load() >= 1);
    const Result<LiveReport> at_rest = CheckRunningStore(GoOn);
    REQUIRE(at_rest.ok());
    CHECK(at_rest->complete);
    CHECK(at_rest->faults.empty());
    CHECK(at_rest->keys == Store::KeyCount(0));
  });
}

TEST_CASE("each kind of damage is seen without a moment of rest, by page and offset") {
  StoreWorld world(400);
  for (int i = 0; i < 6000; ++i) Put(fmt::format("k{:05}", i), std::string(60, 'v'));
  Put("large", std::string(50'000, 'x'));
  REQUIRE(FaultsSeen().empty());
  const PageNo leaf = LeafOf("k03000");
  const auto named = [](PageNo page_no, std::string_view what, size_t byte) {
    return fmt::format("data file \"base/main\" page {}: {} (offset {})", page_no, what,
                       uint64_t{page_no} * kPageBytes + byte);
  };
  SUBCASE("a root flag where no root is") {
    const Damage damage(leaf, [](std::byte* page) { HeaderOf(page).flags |= kRootFlag; });
    CHECK(AnyContains(FaultsSeen(), named(leaf, "it has the root flag and a left neighbour",
                                          offsetof(PageHeader, flags))));
  }
  SUBCASE("a linked page that calls itself unlinked") {
    const Damage damage(leaf, [](std::byte* page) { HeaderOf(page).flags |= kDeletedFlag; });
    CHECK(AnyContains(FaultsSeen(),
                      named(leaf, "it is unlinked and linked", offsetof(PageHeader, flags))));
  }
  SUBCASE("a right link that is lost") {
    const Damage damage(leaf, [](std::byte* page) { HeaderOf(page).right = kNoPage; });
    CHECK(AnyContains(FaultsSeen(), named(leaf, "its high key and its right link do not agree",
                                          offsetof(PageHeader, right))));
  }
  SUBCASE("a parent without an entry for a child") {
    const Damage damage(ParentOf("k03000"), [leaf](std::byte* page) {
      EraseCell(page, *NodeView(page).SlotOfChild(leaf));
    });
    CHECK(AnyContains(FaultsSeen(), named(leaf, "no entry of its parent leads to it", 0)));
  }
  SUBCASE("an unfinished split that is finished") {
    PageNo right = kNoPage;
    const Damage damage(leaf, [&](std::byte* page) {
      HeaderOf(page).flags |= kIncompleteSplitFlag;
      right = HeaderOf(page).right;
    });
    CHECK(
        AnyContains(FaultsSeen(),
                    named(right, "its parent has an entry for it, its left neighbour says no", 0)));
  }
  SUBCASE("a chain that lost a page") {
    const PageNo head = ChainOf("large");
    const Damage damage(head, [](std::byte* page) { HeaderOf(page).right = kNoPage; });
    CHECK(AnyContains(
        FaultsSeen(),
        fmt::format("page {}: its overflow chain does not have the 50000 bytes", head)));
  }
  SUBCASE("a linked page that the map calls free") {
    const Damage damage(MapPageOf(leaf), [leaf](std::byte* page) {
      SetPageState(*reinterpret_cast<MapPage*>(page), leaf, PageState::kFree);
    });
    CHECK(AnyContains(
        FaultsSeen(),
        fmt::format("page {}: the allocation map (page 1) does not call it used", leaf)));
  }
  SUBCASE("a map page that counts wrong") {
    const Damage damage(1,
                        [](std::byte* page) { ++reinterpret_cast<MapPage*>(page)->pending_count; });
    CHECK(AnyContains(FaultsSeen(), "page 1: it counts 1 pending pages and has 0"));
  }
  SUBCASE("a used page that the map calls garbage") {
    const Damage damage(MapPageOf(leaf), [leaf](std::byte* page) {
      SetPageState(*reinterpret_cast<MapPage*>(page), leaf, PageState::kPendingPage);
    });
    CHECK(AnyContains(FaultsSeen(),
                      fmt::format("page {}: the allocation map calls it garbage", leaf)));
  }
  CHECK(FaultsSeen().empty());
}

TEST_CASE("a page damaged in the file is seen, unless the cache has a newer one") {
  StoreWorld world(64);
  for (int i = 0; i < 6000; ++i) Put(fmt::format("k{:05}", i), std::string(60, 'v'));
  MustSucceed(BufferCache::WriteAll());
  const PageNo leaf = LeafOf("k03000");
  std::fstream file(world.path() + "/base/main", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(uint64_t{leaf} * kPageBytes + 100));
  file.put('\x5a');
  file.flush();
  const Result<LiveReport> damaged = CheckRunningStore(GoOn);
  REQUIRE(damaged.ok());
  CHECK(AnyContains(damaged->faults.lines(), fmt::format("page {}: checksum mismatch", leaf)));
  CHECK(AnyContains(damaged->faults.lines(),
                    fmt::format("(offset {})", uint64_t{leaf} * kPageBytes)));
}

}  // namespace warren::test
