// Scans and cursors.
#include <doctest/doctest.h>

#include <algorithm>

#include <set>
#include <vector>

#include "storage/store_check.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

std::string NumberedKey(uint64_t n) { return fmt::format("key:{:06}", n); }

std::vector<std::string> Keys(const Store::Range& range, size_t limit = 1'000'000,
                              int64_t now_ms = 1) {
  std::vector<std::string> keys;
  MustSucceed(
      Store::Scan(0, range, now_ms, NeedValue::kNo, [&](std::string_view key, const Current&) {
        keys.emplace_back(key);
        return keys.size() < limit;
      }));
  return keys;
}

uint64_t Step(uint64_t cursor, std::multiset<std::string>& seen, uint32_t count = 10,
              uint32_t database = 0) {
  const auto next =
      Store::ScanStep(database, cursor, count, 1, [&](std::string_view key) { seen.emplace(key); });
  if (!next.ok()) MustSucceed(next.error());
  return *next;
}

}  // namespace

TEST_CASE("a range begins and ends where it says, in both directions") {
  StoreWorld world;
  for (uint64_t n = 0; n < 2000; n += 2) Put(NumberedKey(n), "v");
  CHECK(Keys({}).size() == 1000);
  CHECK(Keys({.from = NumberedKey(100)}, 2) ==
        std::vector<std::string>{NumberedKey(100), NumberedKey(102)});
  CHECK(Keys({.from = NumberedKey(100), .from_inclusive = false}, 1).front() == NumberedKey(102));
  CHECK(Keys({.from = NumberedKey(101)}, 1).front() == NumberedKey(102));
  CHECK(Keys({.from = {}, .from_inclusive = true, .reverse = true}, 1).front() ==
        NumberedKey(1998));
  CHECK(Keys({.from = NumberedKey(100), .from_inclusive = true, .reverse = true}, 2) ==
        std::vector<std::string>{NumberedKey(100), NumberedKey(98)});
  CHECK(Keys({.from = NumberedKey(100), .from_inclusive = false, .reverse = true}, 1).front() ==
        NumberedKey(98));
  auto backward = Keys({.from = {}, .from_inclusive = true, .reverse = true});
  std::reverse(backward.begin(), backward.end());
  CHECK(backward == Keys({}));
  CHECK(Keys({.from = "zzz"}).empty());
  CHECK(Keys({.from = "aaa", .from_inclusive = true, .reverse = true}).empty());
}

TEST_CASE("keys whose time has come are not seen, and removed by the next read") {
  StoreWorld world;
  Put("short", "v", 0, 100);
  Put("long", "v", 0, 1'000'000);
  CHECK(Store::ExpiresCount(0) == 2);
  CHECK(Keys({}, 10, 99).size() == 2);
  CHECK(Keys({}, 10, 100) == std::vector<std::string>{"long"});
  CHECK(Get("short", 0, 99) == "v");
  CHECK(Store::KeyCount(0) == 2);
  CHECK(Get("short", 0, 100) == std::nullopt);
  CHECK(Store::KeyCount(0) == 1);
  CHECK(Store::ExpiresCount(0) == 1);
  const auto key = Store::RandomKey(0, 100);
  REQUIRE(key.ok());
  CHECK(*key.value() == "long");
}

TEST_CASE("a cursor goes through all keys once when nothing changes, also over a restart") {
  StoreWorld world;
  for (uint64_t n = 0; n < 5000; ++n) Put(NumberedKey(n), "value");
  std::multiset<std::string> seen;
  uint64_t cursor = 0;
  int steps = 0;
  do {
    cursor = Step(cursor, seen);
    CHECK((cursor >> 63) == 0);
    if (++steps == 5) world.Restart();
  } while (cursor != 0);
  CHECK(seen.size() == 5000);
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 5000);
  CHECK(steps > 10);
}

TEST_CASE("a cursor misses no key that stays, whatever is put and erased between its steps") {
  StoreWorld world;
  std::set<std::string> staying;
  for (uint64_t n = 0; n < 6000; ++n) {
    Put(NumberedKey(n), std::string(100, 'v'));
    if (n % 97 == 0) staying.insert(NumberedKey(n));
  }
  std::multiset<std::string> seen;
  uint64_t cursor = 0;
  uint64_t n = 0;
  do {
    cursor = Step(cursor, seen);
    // Splits in front of the cursor and behind it, and leaves that are emptied and unlinked.
    for (int i = 0; i < 200; ++i) {
      n = (n + 61) % 6000;
      if (!staying.contains(NumberedKey(n))) (void)Erase(NumberedKey(n));
      Put(NumberedKey((n * 7) % 6000) + "x", std::string(200, 'w'));
      if (i % 3 == 0) (void)Erase(NumberedKey((n * 3) % 6000) + "x");
    }
  } while (cursor != 0);
  for (const std::string& key : staying) CHECK(seen.contains(key));
  MustSucceed(Store::Check());
}

TEST_CASE("a cursor at a leaf that was emptied and unlinked goes on behind it") {
  StoreWorld world;
  for (uint64_t n = 0; n < 3000; ++n) Put(NumberedKey(n), std::string(100, 'v'));
  std::multiset<std::string> seen;
  const uint64_t cursor = Step(0, seen);
  // All but the keys at the end go, the cursor's leaf with them.
  for (uint64_t n = 0; n < 2990; ++n) CHECK(Erase(NumberedKey(n)));
  uint64_t next = cursor;
  do next = Step(next, seen);
  while (next != 0);
  for (uint64_t n = 2990; n < 3000; ++n) CHECK(seen.contains(NumberedKey(n)));
}

TEST_CASE("after a flush a cursor is at its end") {
  StoreWorld world;
  for (uint64_t n = 0; n < 3000; ++n) Put(NumberedKey(n), std::string(100, 'v'));
  std::multiset<std::string> seen;
  const uint64_t cursor = Step(0, seen);
  REQUIRE(cursor != 0);
  // Somebody who is still on the way keeps the old pages from being used again.
  Segment::Procs().GiveOut(5, ProcessKind::kBackend);
  Segment::Procs()[5].op_start.store(1);
  MustSucceed(Store::Flush(0));
  Put("new", "v");
  seen.clear();
  CHECK(Step(cursor, seen) == 0);
  CHECK(seen.empty());
}

TEST_CASE("any number is taken as a cursor without harm") {
  StoreWorld world;
  for (uint64_t n = 0; n < 3000; ++n) Put(NumberedKey(n), "v");
  for (const uint64_t cursor :
       {uint64_t{1}, uint64_t{7} << 32, uint64_t{1} << 32, uint64_t{2} << 32 | 5, uint64_t{8} << 32,
        uint64_t{0x7fffffff} << 32, ~uint64_t{0}}) {
    CAPTURE(cursor);
    std::multiset<std::string> seen;
    uint64_t next = cursor;
    do next = Step(next, seen, 1000);
    while (next != 0);
    CHECK(seen.size() >= 3000);
  }
  std::multiset<std::string> seen;
  CHECK(Step(0, seen, 10, 3) == 0);
  CHECK(seen.empty());
}

TEST_CASE("random keys come from everywhere") {
  StoreWorld world;
  for (uint64_t n = 0; n < 1000; ++n) Put(NumberedKey(n), std::string(100, 'v'));
  std::set<std::string> seen;
  for (int i = 0; i < 2000; ++i) {
    const auto key = Store::RandomKey(0, 1);
    REQUIRE(key.ok());
    REQUIRE(key.value().has_value());
    seen.insert(**key);
  }
  CHECK(seen.size() > 300);
  const auto none = Store::RandomKey(1, 1);
  REQUIRE(none.ok());
  CHECK_FALSE(none.value().has_value());
}

}  // namespace warren::test
