// Does the store hold under many? Each body runs as threads and as forked processes.
#include <doctest/doctest.h>

#include <algorithm>

#include <map>
#include <random>
#include <set>

#include "shmem/buffer_cache.h"
#include "storage/store_check.h"
#include "tests/support/actors.h"
#include "tests/support/shared_region.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr int kActors = 6;
constexpr uint32_t kFewBuffers = 160;

void ForBothForms(FunctionRef<void(ActorForm)> test) {
  SUBCASE("as threads") { test(ActorForm::kThreads); }
  SUBCASE("as processes") { test(ActorForm::kProcesses); }
}

bool RunInSlots(ActorForm form, FunctionRef<bool(int)> body) {
  return RunActors(form, kActors, [&](int actor) {
    const auto slot = static_cast<SlotIndex>(actor + 1);
    StoreWorld::BecomeProcess(slot);
    const bool good = body(actor);
    const bool nothing_held = HeldLockCount() == 0 && ProcArray::Self().op_start.load() == 0;
    StoreWorld::LeaveProcess(slot);
    return good && nothing_held;
  });
}

void CheckAtRest() {
  const Status status = Store::Check();
  CHECK_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message));
  CHECK(BufferCache::CheckInvariants().ok());
  CHECK(HeldLockCount() == 0);
}

bool Expect(bool condition, std::string_view what) {
  if (!condition)
    std::fprintf(stderr, "failed: %.*s\n", static_cast<int>(what.size()), what.data());
  return condition;
}

std::string ValueOf(uint64_t n, std::mt19937_64& random) {
  const uint64_t kind = random() % 40;
  const size_t bytes = kind == 0 ? 30'000 : kind < 3 ? 5000 : kind < 8 ? 1500 : 20;
  return fmt::format("{}:{}", n, std::string(bytes, static_cast<char>('a' + n % 26)));
}

// Puts, erases and reads keys of its own among everybody else's, and checks each answer.
bool WorkOnOwnKeys(int actor, int steps, uint64_t seed) {
  std::mt19937_64 random(seed + static_cast<uint64_t>(actor));
  std::map<std::string, std::string> model;
  for (int i = 0; i < steps; ++i) {
    const uint64_t n = random() % 1500 * kActors + static_cast<uint64_t>(actor);
    const std::string key = fmt::format("key:{:06}", n);
    const uint64_t what = random() % 8;
    const auto at = model.find(key);
    if (what < 3) {
      model[key] = ValueOf(n, random);
      Put(key, model[key]);
    } else if (what < 6) {
      if (!Expect(Erase(key) == (at != model.end()), "an erase finds what was put")) return false;
      if (at != model.end()) model.erase(at);
    } else {
      const auto found = Get(key);
      if (!Expect(found.has_value() == (at != model.end()), "a read finds what was put"))
        return false;
      if (found && !Expect(*found == at->second, "a read finds the last value")) return false;
    }
  }
  for (const auto& [key, value] : model) {
    if (!Expect(Get(key) == value, "at the end every key is there")) return false;
  }
  return true;
}

bool Increment(std::string_view key, size_t padding) {
  std::string text;
  const auto done =
      Store::Modify(0, key, 1, NeedValue::kYes, [&](const Current& current, uint64_t) {
        const uint64_t n =
            current.exists ? std::strtoull(std::string(current.value).c_str(), nullptr, 10) : 0;
        text = fmt::format("{} {}", n + 1, std::string(padding, '.'));
        return Change{Change::kPut, text, 0};
      });
  return done.ok() && *done == Change::kPut;
}

}  // namespace

TEST_CASE("keys of many writers in one range are all as their writers left them") {
  ForBothForms([](ActorForm form) {
    StoreWorld world(kFewBuffers);
    CHECK(RunInSlots(form, [](int actor) { return WorkOnOwnKeys(actor, 4000, 1); }));
    CheckAtRest();
  });
}

TEST_CASE("no increment is lost, with values in the leaf and in chains") {
  ForBothForms([](ActorForm form) {
    StoreWorld world(kFewBuffers);
    constexpr int kRounds = 400;
    CHECK(RunInSlots(form, [](int) {
      for (int i = 0; i < kRounds; ++i) {
        if (!Increment("small", 3) || !Increment("large", i % 3 == 0 ? 9000 : 2500)) return false;
        if (!Increment("changing", i % 2 == 0 ? 10 : 4000)) return false;
      }
      return true;
    }));
    for (const char* key : {"small", "large", "changing"}) {
      CHECK(std::strtoull(Get(key)->c_str(), nullptr, 10) == kActors * kRounds);
    }
    CheckAtRest();
  });
}

TEST_CASE("a scan sees every key that is there throughout, once, while others come and go") {
  ForBothForms([](ActorForm form) {
    StoreWorld world(kFewBuffers);
    SharedRegion region(4096);
    auto* done = region.Allocate<std::atomic<int>>(1);
    std::set<std::string> stable;
    for (int i = 0; i < 400; ++i) stable.insert(fmt::format("key:{:06}:stable", i * 22));
    for (const std::string& key : stable) Put(key, "x");
    auto scan = [&](bool reverse) {
      std::map<std::string, int> seen;
      std::string last;
      const Status status =
          Store::Scan(0, {.from = {}, .from_inclusive = true, .reverse = reverse}, 1,
                      NeedValue::kYes, [&](std::string_view key, const Current&) {
                        if (stable.contains(std::string(key))) ++seen[std::string(key)];
                        return true;
                      });
      if (!Expect(status.ok(), "the scan succeeds")) return false;
      for (const std::string& key : stable) {
        if (!Expect(seen[key] == 1, "a scan visits each key once")) return false;
      }
      return true;
    };
    auto scan_by_cursor = [&] {
      std::set<std::string> seen;
      uint64_t cursor = 0;
      do {
        const auto next =
            Store::ScanStep(0, cursor, 10, 1, [&](std::string_view key) { seen.emplace(key); });
        if (!Expect(next.ok(), "the step succeeds")) return false;
        cursor = *next;
      } while (cursor != 0);
      return Expect(std::includes(seen.begin(), seen.end(), stable.begin(), stable.end()),
                    "a cursor misses no key");
    };
    CHECK(RunInSlots(form, [&](int actor) {
      if (actor < 3) {
        const bool good = WorkOnOwnKeys(actor, 5000, 9);
        done->fetch_add(1);
        return good;
      }
      while (done->load() < 3) {
        const bool good = actor == 3 ? scan(false) : actor == 4 ? scan(true) : scan_by_cursor();
        if (!good) return false;
      }
      return true;
    }));
    CheckAtRest();
  });
}

TEST_CASE("databases that are flushed again and again under writers stay whole and count right") {
  ForBothForms([](ActorForm form) {
    StoreWorld world(kFewBuffers);
    CHECK(RunInSlots(form, [](int actor) {
      std::mt19937_64 random(static_cast<uint64_t>(actor));
      for (int i = 0; i < 3000; ++i) {
        const uint64_t n = random() % 3000;
        const auto database = static_cast<uint32_t>(n % 2);
        if (actor == 0 && i % 100 == 0) MustSucceed(Store::Flush(database));
        const std::string key = fmt::format("key:{:06}", n);
        if (random() % 4 == 0) {
          (void)Erase(key, database);
        } else {
          Put(key, ValueOf(n, random), database);
        }
      }
      return true;
    }));
    CheckAtRest();
    MustSucceed(Store::Flush(0));
    MustSucceed(Store::Flush(1));
    StoreChecker checker;
    MustSucceed(checker.Run());
    // With nobody else at work everything came back: fixed pages are left.
    CHECK(checker.totals().used_pages == kFirstFreePage);
    CHECK(checker.totals().pending_pages == 0);
  });
}

TEST_CASE("ranges that are filled and emptied by many at once give their pages back") {
  ForBothForms([](ActorForm form) {
    StoreWorld world(kFewBuffers);
    CHECK(RunInSlots(form, [](int actor) {
      for (int round = 0; round < 3; ++round) {
        const std::string value(300, 'v');
        for (int i = 0; i < 900; ++i) Put(fmt::format("k{:05}:{}", i, actor), value);
        for (int i = 0; i < 900; ++i) {
          const int n = actor % 2 == 0 ? i : 899 - i;
          if (!Expect(Erase(fmt::format("k{:05}:{}", n, actor)), "each key is there")) return false;
        }
      }
      return true;
    }));
    CheckAtRest();
    StoreChecker checker;
    MustSucceed(checker.Run());
    CHECK(Store::KeyCount(0) == 0);
    CHECK(checker.totals().used_pages < 60);
  });
}

}  // namespace warren::test
