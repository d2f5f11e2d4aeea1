// Does a hint spare the search, and is it never believed?
#include "storage/leaf_hint.h"

#include <span>
#include <string>
#include <vector>

#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/data_file.h"
#include "storage/store.h"
#include "tests/support/store_world.h"

#include <doctest/doctest.h>

namespace warren {
namespace {

using test::Erase;
using test::Get;
using test::MustSucceed;
using test::Put;
using test::StoreWorld;

constexpr int kKeys = 3000;

std::string KeyOf(int i) { return "key:" + std::to_string(100'000 + i); }

void PutKeys(const std::string& value) {
  for (int i = 0; i < kKeys; ++i) Put(KeyOf(i), value + std::to_string(i));
}

uint64_t Descents() { return Stats::Read(StatId::kTreeDescents); }

void HintAll(PageNo page_no) {
  for (uint64_t i = 0; i <= g_leaf_hint_table.mask; ++i) g_leaf_hint_table.pages[i] = page_no;
}

TEST_CASE("a key that was looked for before is found without the nodes above its leaf") {
  StoreWorld world;
  PutKeys("a");
  for (int i = 50; i < kKeys; i += 100) {
    (void)Get(KeyOf(i));
    const uint64_t before = Descents();
    CHECK(Get(KeyOf(i)) == "a" + std::to_string(i));
    Put(KeyOf(i), "b");
    CHECK(Get(KeyOf(i)) == "b");
    CHECK(Erase(KeyOf(i)));
    CHECK(Get(KeyOf(i)) == std::nullopt);
    CHECK(Descents() == before);
  }
}

TEST_CASE("leaves are prefetched whatever hints and keys are") {
  StoreWorld world;
  PutKeys("a");
  std::vector<std::string> names = {"", "nowhere", std::string(300, 'k')};
  while (names.size() < kMostPrefetched) names.push_back(KeyOf(static_cast<int>(names.size())));
  const std::vector<std::string_view> keys(names.begin(), names.end());
  for (const PageNo page_no : {PageNo{0}, PageNo{3}, PageNo{1'000'000}, kNoPage}) {
    HintAll(page_no);
    for (size_t count = 0; count <= keys.size(); ++count) {
      PrefetchLeaves(0, std::span(keys).first(count));
    }
    PrefetchLeaves(3, keys);
    CHECK(Get(KeyOf(7)) == "a7");
  }
}

TEST_CASE(
    "hints lead to leaves also when the database was emptied in a former life of the server") {
  StoreWorld world;
  Put("key", "1");
  MustSucceed(Store::Flush(0));
  Put("key", "2");
  world.Restart();
  CHECK(Get("key") == "2");
  const uint64_t before = Descents();
  CHECK(Get("key") == "2");
  CHECK(Descents() == before);
}

TEST_CASE("a hint that names any page at all does no harm") {
  StoreWorld world;
  PutKeys("a");
  Put("large", std::string(100'000, 'x'));
  Put("other database", "1", 1);
  const PageNo end = DataFile::Get().page_count() + 3;
  for (PageNo page_no = 0; page_no < end; ++page_no) {
    HintAll(page_no);
    CHECK(Get(KeyOf(1500)) == "a1500");
    HintAll(page_no);
    CHECK(Get("before all") == std::nullopt);
    HintAll(page_no);
    CHECK(Get(KeyOf(1500) + "x") == std::nullopt);
    HintAll(page_no);
    CHECK(Get(KeyOf(1500), 1) == std::nullopt);
    HintAll(page_no);
    Put(KeyOf(1500), "a1500");
    HintAll(page_no);
    Put(KeyOf(kKeys + static_cast<int>(page_no)), "new");
    CHECK(Get(KeyOf(kKeys + static_cast<int>(page_no))) == "new");
  }
  CHECK(Get("large") == std::string(100'000, 'x'));
}

TEST_CASE("a hint to a leaf of the tree that FLUSH has taken away is not followed") {
  StoreWorld world;
  PutKeys("old");
  const PageNo end = DataFile::Get().page_count();
  MustSucceed(Store::Flush(0));
  // Freed and still in memory, the old leaves look as they did.
  for (PageNo page_no = 0; page_no < end; ++page_no) {
    HintAll(page_no);
    for (int i = 0; i < kKeys; i += 500) REQUIRE(Get(KeyOf(i)) == std::nullopt);
  }
  Put("one", "new");
  for (PageNo page_no = 0; page_no < end; ++page_no) {
    HintAll(page_no);
    for (int i = 0; i < kKeys; i += 500) REQUIRE(Get(KeyOf(i)) == std::nullopt);
    REQUIRE(Get("one") == "new");
  }
}

TEST_CASE("a hint to a leaf that was emptied and unlinked is not followed") {
  StoreWorld world;
  PutKeys("a");
  const PageNo end = DataFile::Get().page_count();
  for (int i = 100; i < kKeys - 100; ++i) CHECK(Erase(KeyOf(i)));
  for (PageNo page_no = 0; page_no < end; ++page_no) {
    HintAll(page_no);
    Put(KeyOf(1500), "back");
    REQUIRE(Get(KeyOf(1500)) == "back");
    HintAll(kNoPage);
    REQUIRE(Get(KeyOf(1500)) == "back");  // where a search from the root finds it
    CHECK(Erase(KeyOf(1500)));
  }
}

}  // namespace
}  // namespace warren
