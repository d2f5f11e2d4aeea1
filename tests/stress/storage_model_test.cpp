// Does the store do what a std::map does, whatever is asked of it?
//
// Seeded random work against a model, with Store::Check in between. WARREN_TEST_SEED repeats a run.
#include <doctest/doctest.h>

#include <cstdio>
#include <map>
#include <random>

#include "shmem/stats.h"
#include "storage/store_check.h"
#include "tests/support/actors.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

uint64_t ChooseSeed() {
  const uint64_t seed = TestSeed();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

struct ModelValue {
  std::string value;
  int64_t expire_at_ms = 0;
};

// The store and the model side by side.
class Twin {
 public:
  explicit Twin(uint64_t seed) : random_(seed) {}

  void Step() {
    ++now_ms_;
    const std::string key = RandomKey();
    switch (random_() % 16) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        return DoPut(key);
      case 6:
      case 7:
      case 8:
        return DoErase(key);
      case 9:
        return DoSetExpiry(key);
      case 10:
        return DoAppend(key);
      case 11:
        return DoScan(key);
      default:
        return DoRead(key);
    }
  }

  void EraseRange() {
    const std::string from = RandomKey();
    for (int i = 0; i < 500; ++i) {
      const auto at = model_.lower_bound(from);
      if (at == model_.end()) break;
      DoErase(at->first);
    }
  }

  void Flush() {
    MustSucceed(Store::Flush(0));
    model_.clear();
    CHECK(Store::KeyCount(0) == 0);
  }

  void CheckAll() {
    const Status status = Store::Check();
    REQUIRE_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message));
    CHECK(HeldLockCount() == 0);
    DropExpired();
    auto at = model_.begin();
    MustSucceed(Store::Scan(0, {}, now_ms_, NeedValue::kYes,
                            [&](std::string_view key, const Current& current) {
                              REQUIRE(at != model_.end());
                              REQUIRE(key == at->first);
                              REQUIRE(current.value == at->second.value);
                              REQUIRE(current.expire_at_ms == at->second.expire_at_ms);
                              ++at;
                              return true;
                            }));
    REQUIRE(at == model_.end());
  }

 private:
  std::string RandomKey() {
    const uint64_t n = random_() % 5000;
    if (n % 50 == 0) return fmt::format("{:0>1900}", n);
    if (n % 7 == 0) return std::string(n % 40, static_cast<char>(n)) + fmt::format("{}", n);
    return fmt::format("key:{}", n);
  }
  std::string RandomValue() {
    const uint64_t kind = random_() % 64;
    const size_t bytes = kind == 0   ? random_() % 100'000
                         : kind < 6  ? random_() % 9000
                         : kind < 20 ? random_() % 2100
                                     : random_() % 100;
    std::string value(bytes, static_cast<char>('a' + random_() % 26));
    if (bytes > 8) value.replace(bytes / 2, 4, fmt::format("{:04}", random_() % 10000));
    return value;
  }
  int64_t RandomExpiry() {
    return random_() % 4 == 0 ? now_ms_ + 1 + static_cast<int64_t>(random_() % 3000) : 0;
  }
  bool Exists(const std::string& key) {
    const auto at = model_.find(key);
    if (at == model_.end()) return false;
    if (at->second.expire_at_ms == 0 || at->second.expire_at_ms > now_ms_) return true;
    model_.erase(at);
    return false;
  }
  void DropExpired() {
    std::erase_if(model_, [&](const auto& entry) {
      return entry.second.expire_at_ms != 0 && entry.second.expire_at_ms <= now_ms_;
    });
  }

  Change::Kind Modify(const std::string& key, NeedValue need,
                      FunctionRef<Change(const Current&, uint64_t)> decide) {
    const bool exists = Exists(key);
    const auto done = Store::Modify(0, key, now_ms_, need, [&](const Current& c, uint64_t bytes) {
      REQUIRE(c.exists == exists);
      if (exists) {
        REQUIRE(bytes == model_[key].value.size());
        REQUIRE(c.expire_at_ms == model_[key].expire_at_ms);
        if (need == NeedValue::kYes) REQUIRE(c.value == model_[key].value);
      }
      return decide(c, bytes);
    });
    if (!done.ok()) MustSucceed(done.error());
    return *done;
  }

  void DoPut(const std::string& key) {
    ModelValue value{RandomValue(), RandomExpiry()};
    const auto done = Modify(key, random_() % 2 == 0 ? NeedValue::kNo : NeedValue::kYes,
                             [&](const Current&, uint64_t) {
                               return Change{Change::kPut, value.value, value.expire_at_ms};
                             });
    REQUIRE(done == Change::kPut);
    model_[key] = std::move(value);
  }
  void DoAppend(const std::string& key) {
    const std::string more = RandomValue();
    std::string grown;
    (void)Modify(key, NeedValue::kYes, [&](const Current& current, uint64_t) {
      grown = std::string(current.value) + more;
      return Change{Change::kPut, grown, current.expire_at_ms};
    });
    ModelValue& value = model_[key];
    value.value += more;
    if (value.value.size() > 200'000) DoErase(key);
  }
  void DoErase(std::string key) {
    const bool exists = Exists(key);
    const auto done = Modify(key, NeedValue::kNo, [](const Current&, uint64_t) {
      return Change{Change::kErase, {}, 0};
    });
    REQUIRE((done == Change::kErase) == exists);
    model_.erase(key);
  }
  void DoSetExpiry(const std::string& key) {
    const bool exists = Exists(key);
    const int64_t expiry = RandomExpiry();
    const auto done = Modify(key, NeedValue::kNo, [&](const Current&, uint64_t) {
      return Change{Change::kSetExpiry, {}, expiry};
    });
    REQUIRE((done == Change::kSetExpiry) == exists);
    if (exists) model_[key].expire_at_ms = expiry;
  }
  void DoRead(const std::string& key) {
    const bool exists = Exists(key);
    const auto found = Get(key, 0, now_ms_);
    REQUIRE(found.has_value() == exists);
    if (exists) REQUIRE(*found == model_[key].value);
  }
  void DoScan(const std::string& from) {
    DropExpired();
    const bool reverse = random_() % 2 == 0;
    const bool inclusive = random_() % 2 == 0;
    std::vector<std::string> expected;
    if (!reverse) {
      auto at = inclusive ? model_.lower_bound(from) : model_.upper_bound(from);
      for (; at != model_.end() && expected.size() < 200; ++at) expected.push_back(at->first);
    } else {
      auto at = from.empty() ? model_.end()
                : inclusive  ? model_.upper_bound(from)
                             : model_.lower_bound(from);
      while (at != model_.begin() && expected.size() < 200) expected.push_back((--at)->first);
    }
    std::vector<std::string> found;
    MustSucceed(Store::Scan(0, {from, inclusive, reverse}, now_ms_, NeedValue::kNo,
                            [&](std::string_view key, const Current&) {
                              if (found.size() == expected.size()) return false;
                              found.emplace_back(key);
                              return found.size() < 200;
                            }));
    REQUIRE(found == expected);
  }

  std::mt19937_64 random_;
  std::map<std::string, ModelValue> model_;
  int64_t now_ms_ = 1'000;
};

}  // namespace

TEST_CASE("random work agrees with a model, over restarts and flushes") {
  const uint64_t seed = ChooseSeed();
  CAPTURE(seed);
  StoreWorld world(256);
  Twin twin(seed);
  const int rounds = FullForm() ? 1000 : 100;
  for (int round = 1; round <= rounds; ++round) {
    CAPTURE(round);
    for (int i = 0; i < 3000; ++i) twin.Step();
    if (round % 3 == 0) twin.EraseRange();
    if (round % 11 == 0) twin.Flush();
    if (round % 5 == 0) world.Restart();
    twin.CheckAll();
  }
}

TEST_CASE("data far larger than the cache is written, read and erased, and its pages come back") {
  // 2 MB of cache; 1 GB of data in the long form.
  const uint64_t count = FullForm() ? 1'000'000 : 250'000;
  StoreWorld world(256);
  const std::string filler(1000, 'x');
  std::mt19937_64 random(5);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t n = i * 7919 % count;
    Put(fmt::format("{:012}", n), fmt::format("{} {}", n, filler));
  }
  MustSucceed(Store::Check());
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t n = random() % count;
    REQUIRE(Get(fmt::format("{:012}", n)) == fmt::format("{} {}", n, filler));
  }
  world.Restart();
  CHECK(Store::KeyCount(0) == count);
  for (uint64_t n = 0; n < count; ++n) REQUIRE(Erase(fmt::format("{:012}", n)));
  StoreChecker checker;
  MustSucceed(checker.Run());
  // Fixed pages, and of the tree the first leaf of each part that could not go: under one in a
  // hundred.
  CHECK(checker.totals().used_pages < 20 + count / 8 / 100);
}

}  // namespace warren::test
