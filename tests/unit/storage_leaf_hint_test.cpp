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

// With each place there can be a hint to: of each buffer the first slots, and some that no leaf
// has.
template <typename Body>
void ForEachPlace(const Body& body) {
  for (BufferIndex buffer = 0; buffer < Segment::Config().buffer_count + 3; ++buffer) {
    for (const uint32_t slot : {0u, 1u, 400u, 0xffffu}) body(LeafPlace{buffer, slot});
  }
}

// What is found of a key whose hint is made to lead there.
std::optional<std::string> GetFrom(LeafPlace place, const std::string& key, uint32_t database = 0) {
  LeafHint(database, key).Set(place);
  return Get(key, database);
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
  ForEachPlace([&](LeafPlace place) {
    for (const std::string& name : names) LeafHint(0, name).Set(place);
    prefetch_all();
  });
}

TEST_CASE("a hint holds any place, and its key's only") {
  StoreWorld world(16);
  const auto keys = static_cast<int>(LeafHintBuckets(16) * 8);  // as many as hints
  const auto place_of = [](int i) {
    return LeafPlace{static_cast<BufferIndex>(i * 1'000'003), static_cast<uint32_t>(i)};
  };
  int none = 0;
  for (int i = 0; i < keys; ++i) {
    const LeafHint hint(0, KeyOf(i));
    if (hint.place() == LeafPlace()) ++none;
    hint.Set(place_of(i + 7));
    hint.Set(place_of(i));
    CHECK(hint.place() == place_of(i));
  }
  CHECK(none > keys - 10);  // the others' are not taken for theirs
  int kept = 0;
  for (int i = 0; i < keys; ++i) {
    const LeafPlace place = LeafHint(0, KeyOf(i)).place();
    const bool keeps = place == place_of(i);
    CHECK((keeps || place == LeafPlace()));
    kept += keeps ? 1 : 0;
  }
  CHECK(kept > keys * 8 / 10);  // some stay empty; of one for each hash it would be four in ten
}

TEST_CASE("hints of keys that are gone make room for those of others") {
  StoreWorld world(16);
  const auto hints = static_cast<int>(LeafHintBuckets(16) * 8);
  const LeafPlace place{.buffer = 7, .slot = 7};
  for (int i = 0; i < hints * 4; ++i) LeafHint(0, "gone:" + std::to_string(i)).Set(place);
  const int living = hints / 2;
  int without = 0;
  for (int round = 0; round < 50; ++round) {
    without = 0;
    for (int i = 0; i < living; ++i) {
      const LeafHint hint(0, KeyOf(i));
      if (hint.place() == place) continue;
      ++without;
      hint.Set(place);
    }
  }
  CHECK(without < living / 20);  // with a fixed place for each key in a full bucket: four of ten
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
  ForEachPlace([&](LeafPlace place) {
    CHECK(GetFrom(place, KeyOf(1500)) == "a1500");
    CHECK(GetFrom(place, "before all") == std::nullopt);
    CHECK(GetFrom(place, KeyOf(1500) + "x") == std::nullopt);
    CHECK(GetFrom(place, KeyOf(1500), 1) == std::nullopt);
    LeafHint(0, KeyOf(1500)).Set(place);
    Put(KeyOf(1500), "a1500");
    const std::string new_key = KeyOf(kKeys + added++);
    LeafHint(0, new_key).Set(place);
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
  ForEachPlace([](LeafPlace place) {
    for (int i = 0; i < kKeys; i += 500) REQUIRE(GetFrom(place, KeyOf(i)) == std::nullopt);
  });
  Put("one", "new");
  ForEachPlace([](LeafPlace place) {
    for (int i = 0; i < kKeys; i += 500) REQUIRE(GetFrom(place, KeyOf(i)) == std::nullopt);
    REQUIRE(GetFrom(place, "one") == "new");
  });
}

TEST_CASE("a hint to a leaf that was emptied and unlinked is not followed") {
  StoreWorld world;
  PutKeys("a");
  for (int i = 100; i < kKeys - 100; ++i) CHECK(Erase(KeyOf(i)));
  ForEachPlace([](LeafPlace place) {
    LeafHint(0, KeyOf(1500)).Set(place);
    Put(KeyOf(1500), "back");
    REQUIRE(Get(KeyOf(1500)) == "back");
    // where a search from the root finds it
    REQUIRE(GetFrom({.buffer = kNoBuffer - 1, .slot = 0}, KeyOf(1500)) == "back");
    CHECK(Erase(KeyOf(1500)));
  });
}

}  // namespace
}  // namespace warren
