// One process and the store.
#include "storage/store.h"

#include <doctest/doctest.h>

#include <algorithm>

#include <map>
#include <random>

#include "shmem/stats.h"
#include "storage/store_check.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

std::string NumberedKey(uint64_t n) { return fmt::format("key:{:08}", n); }

void CheckStore() {
  const Status status = Store::Check();
  CHECK_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message));
  CHECK(HeldLockCount() == 0);
}

std::string LargeValue(size_t bytes, char seed) {
  std::string value(bytes, seed);
  for (size_t i = 0; i < bytes; i += 97)
    value[i] = static_cast<char>(seed + static_cast<char>(i / 97 % 50));
  return value;
}

}  // namespace

TEST_CASE("a key that was put is found with its value, another one is not") {
  StoreWorld world;
  CHECK(Get("a") == std::nullopt);
  Put("a", "1");
  CHECK(Get("a") == "1");
  CHECK(Get("b") == std::nullopt);
  CHECK(Get("a", 1) == std::nullopt);
  CHECK(Store::KeyCount(0) == 1);
  Put("a", "22");
  CHECK(Get("a") == "22");
  CHECK(Store::KeyCount(0) == 1);
  CHECK(Erase("a"));
  CHECK_FALSE(Erase("a"));
  CHECK(Get("a") == std::nullopt);
  CHECK(Store::KeyCount(0) == 0);
  CheckStore();
}

TEST_CASE("keys in any order of arrival are all found, in order, and all can go again") {
  for (const int order : {0, 1, 2}) {
    CAPTURE(order);
    StoreWorld world;
    constexpr uint64_t kCount = 20'000;
    std::vector<uint64_t> numbers(kCount);
    for (uint64_t i = 0; i < kCount; ++i) numbers[i] = order == 1 ? kCount - 1 - i : i;
    if (order == 2) std::shuffle(numbers.begin(), numbers.end(), std::mt19937(7));
    for (const uint64_t n : numbers) Put(NumberedKey(n), fmt::format("value {}", n));
    CheckStore();
    CHECK(Store::KeyCount(0) == kCount);
    for (uint64_t n = 0; n < kCount; n += 37)
      CHECK(Get(NumberedKey(n)) == fmt::format("value {}", n));
    uint64_t next = 0;
    MustSucceed(Store::Scan(0, {}, 1, NeedValue::kNo, [&](std::string_view key, const Current&) {
      CHECK(key == NumberedKey(next++));
      return true;
    }));
    CHECK(next == kCount);
    for (const uint64_t n : numbers) CHECK(Erase(NumberedKey(n)));
    CheckStore();
    CHECK(Store::KeyCount(0) == 0);
  }
}

TEST_CASE("values of every size around the inline limit and a page's size come back whole") {
  StoreWorld world;
  for (const size_t bytes : {0u, 1u, 1900u, 1990u, 2000u, 2001u, 2010u, 2034u, 2100u, 8111u, 8112u,
                             8113u, 16224u, 16225u, 100'000u, 3'000'000u}) {
    CAPTURE(bytes);
    const std::string value = LargeValue(bytes, 'a');
    Put("k", value);
    CHECK(Get("k") == value);
  }
  CheckStore();
  CHECK(Erase("k"));
  CheckStore();
}

TEST_CASE("a large value is in the log once, in few records") {
  StoreWorld world;
  constexpr size_t kBytes = 1'000'000;
  for (const size_t replaced : {size_t{0}, size_t{1}}) {
    CAPTURE(replaced);
    const Lsn before = Segment::Wal().insert.load();
    const uint64_t records = Stats::Read(StatId::kWalRecords);
    Put("large", LargeValue(kBytes, static_cast<char>('a' + replaced)));
    CHECK(Segment::Wal().insert.load() - before < kBytes + kBytes / 25);
    CHECK(Stats::Read(StatId::kWalRecords) - records < kBytes / kPageBytes / 4);
  }
}

TEST_CASE("keys of every byte and of the greatest length are kept apart") {
  StoreWorld world;
  std::map<std::string, std::string> model;
  std::mt19937 random(11);
  for (int i = 0; i < 3000; ++i) {
    std::string key(random() % 8 == 0 ? 2000 - random() % 10 : random() % 12, '\0');
    for (char& c : key) c = static_cast<char>(random() % 3 == 0 ? random() % 256 : 'a');
    const std::string value = fmt::format("{}", i);
    Put(key, value);
    model[key] = value;
  }
  CheckStore();
  for (const auto& [key, value] : model) CHECK(Get(key) == value);
  auto at = model.begin();
  MustSucceed(Store::Scan(0, {}, 1, NeedValue::kYes, [&](std::string_view key, const Current& c) {
    CHECK(key == at->first);
    CHECK(c.value == at->second);
    ++at;
    return true;
  }));
  CHECK(at == model.end());
  CHECK(Store::KeyCount(0) == model.size());
}

}  // namespace warren::test
