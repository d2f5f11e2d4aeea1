// Which keys does a sweep remove, and when is the next one due?
#include "storage/expiry.h"

#include <doctest/doctest.h>

#include "shmem/stats.h"
#include "storage/leaf_change.h"
#include "storage/reclaim.h"
#include "storage/store_check.h"
#include "storage/tree.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr int64_t kSoonMs = 1000;
constexpr int64_t kLaterMs = 5000;

std::string KeyOf(int i) { return fmt::format("k{:06}", i); }

StoreTotals Totals() {
  StoreChecker checker;
  MustSucceed(checker.Run());
  return checker.totals();
}

ExpirySweep::Totals SweepAll(uint32_t database, int64_t now_ms) {
  ExpirySweep sweep(database);
  for (;;) {
    const Result<bool> more = sweep.NextLeaf(now_ms);
    if (!more.ok()) MustSucceed(more.error());
    if (!*more) return sweep.totals();
  }
}

}  // namespace

TEST_CASE("a sweep removes exactly the keys whose time has come, and their pages") {
  StoreWorld world;
  for (int i = 0; i < 4000; ++i) {
    const int64_t expire_at_ms = i % 100 == 0 ? 0 : i % 100 == 1 ? kLaterMs : kSoonMs;
    Put(KeyOf(i), std::string(100, 'v'), 1, expire_at_ms);
  }
  Put("large", std::string(200'000, 'v'), 1, kSoonMs);
  const uint64_t pages = Totals().used_pages;
  CHECK(SweepAll(1, kSoonMs - 1).removed == 0);
  CHECK(Store::KeyCount(1) == 4001);
  const ExpirySweep::Totals totals = SweepAll(1, kSoonMs);
  CHECK(totals.removed == 98 * 40 + 1);
  CHECK(totals.expiring == 99 * 40 + 1);
  CHECK(Stats::Read(StatId::kExpiredKeys) == totals.removed);
  CHECK(Store::KeyCount(1) == 80);
  CHECK(Store::ExpiresCount(1) == 40);
  for (int i = 0; i < 4000; i += 50) {
    CHECK(Get(KeyOf(i), 1).has_value() == (i % 100 == 0));
    CHECK(Get(KeyOf(i + 1), 1).has_value() == ((i + 1) % 100 == 1));
  }
  while (CollectGarbage(10'000) > 0) {
  }
  CHECK(Totals().pending_pages == 0);
  CHECK(Totals().used_pages < pages - 25);  // the chain, at least
  // Nobody has to ask for the rest either.
  CHECK(SweepAll(1, kLaterMs).removed == 40);
  CHECK(Store::KeyCount(1) == 40);
}

TEST_CASE("a database whose keys are all expired shrinks to its leftmost pages") {
  StoreWorld world;
  for (int i = 0; i < 20'000; ++i) Put(KeyOf(i), std::string(100, 'v'), 0, kSoonMs);
  CHECK(Totals().used_pages > 200);
  CHECK(SweepAll(0, kSoonMs).removed == 20'000);
  while (CollectGarbage(10'000) > 0) {
  }
  CHECK(Store::KeyCount(0) == 0);
  CHECK(Totals().used_pages < 20);
}

TEST_CASE("the next expiry is the smallest that a sweep met or that was written since") {
  StoreWorld world;
  CHECK(NextExpiryMs(2) == kNeverMs);
  Put("a", "1", 2, 9000);
  CHECK(NextExpiryMs(2) == 0);  // nobody has looked since the start
  SweepAll(2, kSoonMs);
  CHECK(NextExpiryMs(2) == 9000);
  Put("b", "1", 2, 7000);
  CHECK(NextExpiryMs(2) == 7000);
  Put("c", "1", 2, 8000);
  Put("d", "1", 2);
  CHECK(NextExpiryMs(2) == 7000);
  REQUIRE(Erase("b", 2));
  CHECK(NextExpiryMs(2) == 7000);  // too early: one sweep for nothing
  SweepAll(2, 7000);
  CHECK(NextExpiryMs(2) == 8000);
  SweepAll(2, 9000);
  CHECK(NextExpiryMs(2) == kNeverMs);
  ForgetNextExpiries();
  Put("e", "1", 2, 9500);
  CHECK(NextExpiryMs(2) == 0);
}

TEST_CASE("what is written behind a sweep makes the next one due") {
  StoreWorld world;
  for (int i = 0; i < 1000; ++i) Put(KeyOf(i), std::string(100, 'v'), 0, 9000);
  {
    ExpirySweep sweep(0);
    REQUIRE(sweep.NextLeaf(1).ok());
    Put(KeyOf(0), "renewed", 0, 3000);
    Put(KeyOf(999), "renewed", 0, 4000);
    for (Result<bool> more = true; more.ok() && *more;) more = sweep.NextLeaf(1);
  }
  CHECK(NextExpiryMs(0) == 3000);
}

TEST_CASE("a sweep that did not reach the end leaves the next expiry unknown") {
  StoreWorld world;
  for (int i = 0; i < 1000; ++i) Put(KeyOf(i), std::string(100, 'v'), 0, 9000);
  SweepAll(0, 1);
  CHECK(NextExpiryMs(0) == 9000);
  {
    ExpirySweep sweep(0);
    REQUIRE(sweep.NextLeaf(1).ok());
  }
  CHECK(NextExpiryMs(0) == 0);
}

TEST_CASE("a sweep takes out leaves that somebody else left empty") {
  StoreWorld world;
  for (int i = 0; i < 3000; ++i) Put(KeyOf(i), std::string(100, 'v'));
  const uint64_t pages = Totals().used_pages;
  // As if each eraser had died before it came to the leaf.
  for (int i = 0; i < 3000; ++i) {
    KeyLeftovers leftovers;
    MustSucceed(RunSteps([&]() -> Result<Step> {
      ASSIGN_OR_RETURN(ExclusivePage leaf, FindNodeExclusive(0, 0, {SearchTarget::kAt, KeyOf(i)}));
      return EraseKey(leaf, 0, &leftovers);
    }));
  }
  CHECK(Totals().used_pages == pages);
  CHECK(SweepAll(0, 1).removed == 0);
  CHECK(Totals().used_pages < pages / 4);
}

}  // namespace warren::test
