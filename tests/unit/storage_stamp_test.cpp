// Do stamps tell what was left alone from what was changed, also there and back?
#include <string>

#include "storage/commit.h"
#include "storage/reclaim.h"
#include "tests/support/store_world.h"

#include <doctest/doctest.h>

namespace warren {
namespace {

using test::Erase;
using test::Get;
using test::MustSucceed;
using test::Put;
using test::StoreWorld;

KeyStamp Stamp(std::string_view key, uint32_t database = 0, int64_t now_ms = 1) {
  const Result<KeyStamp> stamp = Store::Stamp(database, key, now_ms);
  REQUIRE(stamp.ok());
  return *stamp;
}

LeafStamp ReadStamped(std::string_view key, uint32_t database = 0) {
  LeafStamp stamp;
  const auto found = Store::Read(
      database, key, 1, NeedValue::kYes, [](const Current&, uint64_t) {}, LockLook::kLook, &stamp);
  REQUIRE(found.ok());
  return stamp;
}

TEST_CASE("a key's stamp is the same as long as nobody changes it") {
  StoreWorld world;
  Put("key", "1");
  const KeyStamp there = Stamp("key");
  const KeyStamp missing = Stamp("missing");
  const KeyStamp nowhere = Stamp("key", 3);
  CHECK(there.exists);
  CHECK_FALSE(missing.exists);
  Put("other", "1");
  (void)Get("key");
  CHECK(Stamp("key") == there);
  CHECK(Stamp("missing") == missing);
  CHECK(Stamp("key", 3) == nowhere);
}

TEST_CASE("a key's stamp differs after any change, also one that was taken back") {
  StoreWorld world;
  Put("key", "1");
  KeyStamp before = Stamp("key");
  Put("key", "1");
  CHECK_FALSE(Stamp("key") == before);
  before = Stamp("key");
  Erase("key");
  CHECK_FALSE(Stamp("key") == before);
  before = Stamp("key");
  Put("key", "1");
  Erase("key");
  CHECK_FALSE(Stamp("key") == before);
  before = Stamp("key");
  Put("key", "1");
  MustSucceed(Store::Flush(0));
  CHECK_FALSE(Stamp("key") == before);
}

TEST_CASE("a key's stamp differs when its time has come, and when it was removed for that") {
  StoreWorld world;
  const KeyStamp missing = Stamp("key");
  Put("key", "1", 0, 1000);
  const KeyStamp there = Stamp("key");
  CHECK(Stamp("key", 0, 999) == there);
  CHECK_FALSE(Stamp("key", 0, 1000) == there);
  REQUIRE(Store::Expire(0, "key", 1000).ok());
  CHECK_FALSE(Stamp("key", 0, 1000) == there);
  CHECK_FALSE(Stamp("key", 0, 1000) == missing);
}

TEST_CASE("a key's stamp differs after a commit that changed it, or emptied its database") {
  StoreWorld world;
  Put("key", "1");
  KeyStamp before = Stamp("key");
  MustSucceed(CommitChanges(std::vector<CommitOp>{{CommitOp::kPut, 0, "key", "1", 0},
                                                  {CommitOp::kPut, 0, "other", "1", 0}},
                            1));
  CHECK_FALSE(Stamp("key") == before);
  before = Stamp("absent");
  MustSucceed(CommitChanges(std::vector<CommitOp>{{CommitOp::kEmptyDatabase, 0, {}, {}, 0},
                                                  {CommitOp::kPut, 0, "other", "1", 0}},
                            1));
  CHECK_FALSE(Stamp("absent") == before);
}

TEST_CASE("a leaf's stamp is unchanged until a key of the leaf is changed") {
  StoreWorld world;
  for (int i = 0; i < 500; ++i) Put(fmt::format("key{:03}", i), std::string(100, 'v'));
  const LeafStamp first = ReadStamped("key000");
  const LeafStamp last = ReadStamped("key499");
  const LeafStamp missing = ReadStamped("key000x");
  CHECK(first.page_no != last.page_no);
  CHECK(Store::Unchanged(first));
  Put("key498", "changed");
  CHECK(Store::Unchanged(first));
  CHECK(Store::Unchanged(missing));
  CHECK_FALSE(Store::Unchanged(last));
  Erase("key001");
  CHECK_FALSE(Store::Unchanged(first));
  CHECK_FALSE(Store::Unchanged(missing));
}

TEST_CASE("a leaf's stamp does not outlive the leaf's place in the cache") {
  StoreWorld world(64);
  Put("a key", "1");
  const LeafStamp stamp = ReadStamped("a key");
  for (int i = 0; i < 2000; ++i) Put(fmt::format("key{:04}", i), std::string(900, 'v'), 1);
  CHECK_FALSE(Store::Unchanged(stamp));
}

TEST_CASE("what was read of a database without any leaf is unchanged until it has one") {
  StoreWorld world;
  const LeafStamp stamp = ReadStamped("key", 2);
  CHECK(stamp.buffer == kNoBuffer);
  CHECK(Store::Unchanged(stamp));
  Put("other", "1", 2);
  CHECK_FALSE(Store::Unchanged(stamp));
}

TEST_CASE("a key that came with an expiry and has expired since has another stamp") {
  StoreWorld world;
  const auto stamp = [](int64_t now_ms) { return Store::Stamp(0, "k", now_ms).value(); };
  const KeyStamp before = stamp(1);
  Put("k", "v", 0, 10);
  CHECK(stamp(1).exists);
  const KeyStamp expired = stamp(10);  // and nobody has removed it
  CHECK(!expired.exists);
  CHECK(!(expired == before));
  REQUIRE(Store::Expire(0, "k", 10).ok());
  CHECK(!(stamp(10) == before));
}

TEST_CASE("a leaf of a tree that was dropped is not taken for unchanged") {
  StoreWorld world;
  for (int i = 0; i < 500; ++i) Put("k" + std::to_string(i), std::string(200, 'v'));
  const LeafStamp before = ReadStamped("k250");
  CHECK(Store::Unchanged(before));
  REQUIRE(Store::Flush(0).ok());
  CHECK(!Store::Unchanged(before));
}

}  // namespace
}  // namespace warren
