// Does a hint spare the search, and is it never believed?
#include "storage/leaf_hint.h"

#include <span>
#include <string>
#include <vector>

#include "shmem/segment.h"
#include "shmem/stats.h"
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

void HintAll(uint32_t word) {
  for (uint64_t i = 0; i <= g_leaf_hint_table.mask; ++i) g_leaf_hint_table.places[i] = word;
}

constexpr uint32_t kNoHint = 0;

// With each hint there can be to a buffer: its first slots, one that the leaf has not, the last.
template <typename Body>
void ForEachHint(const Body& body) {
  const uint32_t slot_bits = g_leaf_hint_table.slot_bits;
  const uint32_t last_slot = (1u << slot_bits) - 1;
  for (uint32_t buffer = 0; buffer < Segment::Config().buffer_count + 3; ++buffer) {
    for (const uint32_t slot : {0u, 1u, last_slot / 2, last_slot}) {
      body((buffer + 1) << slot_bits | slot);
    }
  }
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
  const auto prefetch_all = [&] {
    for (size_t count = 0; count <= keys.size(); ++count) {
      PrefetchLeaves(0, std::span(keys).first(count));
    }
    PrefetchLeaves(3, keys);
    CHECK(Get(KeyOf(7)) == "a7");
  };
  prefetch_all();
  for (const uint32_t word : {kNoHint, ~uint32_t{0}}) {
    HintAll(word);
    prefetch_all();
  }
  ForEachHint([&](uint32_t word) {
    HintAll(word);
    prefetch_all();
  });
}

TEST_CASE("a hint holds any buffer of the cache and any slot of a leaf") {
  StoreWorld world;
  const LeafHint hint(0, "key");
  CHECK(hint.place().buffer == kNoBuffer);
  for (const uint32_t buffers : {1u, 256u, (1u << 23) - 1, 1u << 23, 1u << 27, 1u << 31}) {
    g_leaf_hint_table.slot_bits = LeafHintSlotBits(buffers);
    for (const uint32_t slot : {0u, 1u, 385u}) {
      hint.Set({.buffer = buffers - 1, .slot = slot});
      CHECK(hint.place().buffer == buffers - 1);
      if (buffers < 1u << 23) CHECK(hint.place().slot == slot);
    }
  }
}

TEST_CASE("the slot that a hint names is right again after one look for the key") {
  StoreWorld world;
  PutKeys("a");
  const std::string key = KeyOf(1500);
  (void)Get(key);
  const LeafHint hint(0, key);
  const LeafPlace before = hint.place();
  REQUIRE(before.buffer != kNoBuffer);
  CHECK(Erase(KeyOf(1499)));  // the key moves up
  CHECK(hint.place().slot == before.slot);
  CHECK(Get(key) == "a1500");
  CHECK(hint.place().buffer == before.buffer);
  CHECK(hint.place().slot == before.slot - 1);
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

TEST_CASE("a hint that names any buffer and slot at all does no harm") {
  StoreWorld world;
  PutKeys("a");
  Put("large", std::string(100'000, 'x'));
  Put("other database", "1", 1);
  int added = 0;
  ForEachHint([&](uint32_t word) {
    HintAll(word);
    CHECK(Get(KeyOf(1500)) == "a1500");
    HintAll(word);
    CHECK(Get("before all") == std::nullopt);
    HintAll(word);
    CHECK(Get(KeyOf(1500) + "x") == std::nullopt);
    HintAll(word);
    CHECK(Get(KeyOf(1500), 1) == std::nullopt);
    HintAll(word);
    Put(KeyOf(1500), "a1500");
    HintAll(word);
    const std::string new_key = KeyOf(kKeys + added++);
    Put(new_key, "new");
    CHECK(Get(new_key) == "new");
  });
  CHECK(Get("large") == std::string(100'000, 'x'));
}

TEST_CASE("a hint to a leaf of the tree that FLUSH has taken away is not followed") {
  StoreWorld world;
  PutKeys("old");
  MustSucceed(Store::Flush(0));
  // Freed and still in memory, the old leaves look as they did.
  ForEachHint([](uint32_t word) {
    HintAll(word);
    for (int i = 0; i < kKeys; i += 500) REQUIRE(Get(KeyOf(i)) == std::nullopt);
  });
  Put("one", "new");
  ForEachHint([](uint32_t word) {
    HintAll(word);
    for (int i = 0; i < kKeys; i += 500) REQUIRE(Get(KeyOf(i)) == std::nullopt);
    REQUIRE(Get("one") == "new");
  });
}

TEST_CASE("a hint to a leaf that was emptied and unlinked is not followed") {
  StoreWorld world;
  PutKeys("a");
  for (int i = 100; i < kKeys - 100; ++i) CHECK(Erase(KeyOf(i)));
  ForEachHint([](uint32_t word) {
    HintAll(word);
    Put(KeyOf(1500), "back");
    REQUIRE(Get(KeyOf(1500)) == "back");
    HintAll(kNoHint);
    REQUIRE(Get(KeyOf(1500)) == "back");  // where a search from the root finds it
    CHECK(Erase(KeyOf(1500)));
  });
}

}  // namespace
}  // namespace warren
