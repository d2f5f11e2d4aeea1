// Does the store keep out of the way of those who have locked a key or its database?
//
// The holder is a child that has got its locks and waits; the tests are the others.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "shmem/lock_table.h"
#include "storage/expiry.h"
#include "tests/support/actors.h"
#include "tests/support/store_world.h"

#include <doctest/doctest.h>

namespace warren::test {
namespace {

constexpr SlotIndex kHolderSlot = 5;

// A process that holds a lock until it is killed, with the object at the latest.
class Holder {
 public:
  Holder(const LockTag& tag, TxLockMode mode, Lsn commit_lsn = 0)
      : child_([&] {
          StoreWorld::BecomeProcess(kHolderSlot);
          if (!LockTable::TryLock(tag, mode, LockScope::kTransaction).ok()) return false;
          ProcArray::Self().commit_lsn.store(commit_lsn);
          for (;;) pause();
        }) {
    if (!WaitFor([&] { return Holds(tag) && CommitLsn() == commit_lsn; })) std::abort();
  }
  ~Holder() {
    child_.Kill();
    child_.Wait();
    Proc& proc = Segment::Procs()[kHolderSlot];
    LockTable::DropOwner({kHolderSlot, proc.generation.load()});
    proc.life.store(ProcLife::kFree);
  }

 private:
  static Lsn CommitLsn() { return Segment::Procs()[kHolderSlot].commit_lsn.load(); }
  static bool Holds(const LockTag& tag) {
    for (const LockTable::Info& info : LockTable::Snapshot()) {
      if (info.tag == tag && info.owner.slot == kHolderSlot) return true;
    }
    return false;
  }

  Child child_;
};

template <typename T>
bool InConflict(const Result<T>& result) {
  return !result.ok() && result.error().code == ErrorCode::kConflict;
}

Result<Change::Kind> TryPut(std::string_view key, LockLook look, std::string_view value = "new") {
  return Store::Modify(
      0, key, 1, NeedValue::kYes,
      [&](const Current&, uint64_t) {
        return Change{Change::kPut, value, 0};
      },
      look);
}

Result<bool> TryRead(std::string_view key, LockLook look) {
  return Store::Read(
      0, key, 1, NeedValue::kYes, [](const Current&, uint64_t) {}, look);
}

}  // namespace

TEST_CASE("a write goes round nobody's lock and leaves the key as it was") {
  StoreWorld world;
  for (const bool empty : {true, false}) {
    if (!empty) Put("k", "old");
    for (const LockTag& tag : {KeyTag(0, "k"), DatabaseTag(0)}) {
      for (const TxLockMode mode : {TxLockMode::kS, TxLockMode::kX}) {
        const Holder holder(tag, mode);
        CHECK(InConflict(TryPut("k", LockLook::kLook)));
        CHECK(InConflict(TryPut("k", LockLook::kLook, std::string(100'000, 'v'))));
        CHECK(HeldLockCount() == 0);
        CHECK(ProcArray::Self().op_start.load() == 0);
        CHECK(Get("k").has_value() == !empty);
        if (!empty) CHECK(Get("k") == "old");
      }
    }
  }
  CHECK(TryPut("k", LockLook::kLook).ok());
  MustSucceed(Store::Check());
}

TEST_CASE("a write passes the locks of other keys and intentions on the database") {
  StoreWorld world;
  for (const TxLockMode mode : {TxLockMode::kIS, TxLockMode::kIX}) {
    const Holder holder(DatabaseTag(0), mode);
    CHECK(TryPut("k", LockLook::kLook).ok());
  }
  const Holder holder(KeyTag(0, "other"), TxLockMode::kX);
  CHECK(TryPut("k", LockLook::kLook).ok());
  CHECK(TryPut("other", LockLook::kHolder).ok());  // who says that it holds the lock is believed
}

TEST_CASE("several puts at once end before a key that somebody has locked") {
  StoreWorld world;
  std::vector<std::string> names;
  for (int i = 0; i < 4; ++i) names.push_back(fmt::format("key {}", i * 100));
  for (int i = 0; i < 400; ++i) Put(fmt::format("key {}", i), std::string(1900, 'o'));
  std::vector<KeyPut> puts;
  for (const std::string& name : names) puts.push_back({name, "new"});
  for (const std::string& name : names) REQUIRE(Get(name).has_value());  // finds the hints
  {
    const Holder holder(KeyTag(0, names[2]), TxLockMode::kX);
    CHECK(Store::PutAtOnce(0, puts, 1) == 2);
    CHECK(Store::PutAtOnce(0, std::span(puts).subspan(2), 1) == 0);
    CHECK(Get(names[1]) == "new");
    CHECK(Get(names[2]) != "new");
    CHECK(HeldLockCount() == 0);
    CHECK(ProcArray::Self().op_start.load() == 0);
  }
  {
    const Holder holder(DatabaseTag(0), TxLockMode::kS);
    CHECK(Store::PutAtOnce(0, puts, 1) == 0);
  }
  CHECK(Store::PutAtOnce(0, std::span(puts).subspan(2), 1) == 2);
  CHECK(Get(names[3]) == "new");
  MustSucceed(Store::Check());
}

TEST_CASE("one's own locks are not in one's way") {
  StoreWorld world;
  StoreWorld::BecomeProcess(3);
  REQUIRE(*LockTable::TryLock(KeyTag(0, "k"), TxLockMode::kX, LockScope::kTransaction));
  REQUIRE(*LockTable::TryLock(DatabaseTag(0), TxLockMode::kX, LockScope::kTransaction));
  CHECK(TryPut("k", LockLook::kLook).ok());
  CHECK(TryRead("k", LockLook::kLook).ok());
  LockTable::ReleaseAll(LockScope::kTransaction);
}

TEST_CASE("a read waits only for a writer who is past its commit point") {
  StoreWorld world;
  for (const bool empty : {true, false}) {
    if (!empty) Put("k", "old");
    for (const LockTag& tag : {KeyTag(0, "k"), DatabaseTag(0)}) {
      {
        const Holder holder(tag, TxLockMode::kX);
        CHECK(TryRead("k", LockLook::kLook).ok());
      }
      const Holder holder(tag, TxLockMode::kX, 4711);
      CHECK(InConflict(TryRead("k", LockLook::kLook)));
      CHECK(TryRead("k", LockLook::kHolder).ok());
    }
    const Holder reader(KeyTag(0, "k"), TxLockMode::kS, 4711);
    CHECK(TryRead("k", LockLook::kLook).ok());
  }
}

TEST_CASE("a key whose time has come stays as long as somebody has locked it") {
  StoreWorld world;
  constexpr int64_t kDueMs = 100;
  Put("k", "v", 0, kDueMs);
  {
    const Holder holder(KeyTag(0, "k"), TxLockMode::kS);
    const auto expired = Store::Expire(0, "k", kDueMs);
    REQUIRE(expired.ok());
    CHECK(!*expired);
    // Neither does a read take it away, which finds it gone.
    CHECK(Get("k", 0, kDueMs) == std::nullopt);
    ExpirySweep sweep(0);
    REQUIRE(sweep.NextLeaf(kDueMs).ok());
    CHECK(sweep.totals().removed == 0);
    CHECK(Store::KeyCount(0) == 1);
  }
  CHECK(NextExpiryMs(0) <= kDueMs);  // so that the next sweep comes for it
  const auto expired = Store::Expire(0, "k", kDueMs);
  REQUIRE(expired.ok());
  CHECK(*expired);
  CHECK(Store::KeyCount(0) == 0);
}

// A lock that is granted between two steps of one Modify: the second look finds it.
TEST_CASE("whoever let the leaf go looks again") {
  StoreWorld world;
  Put("k", std::string(100'000, 'v'));
  std::optional<Holder> holder;
  const auto done = Store::Modify(0, "k", 1, NeedValue::kYes, [&](const Current&, uint64_t) {
    // The value is in a chain, so this is called with nothing locked.
    if (!holder.has_value()) holder.emplace(KeyTag(0, "k"), TxLockMode::kX);
    return Change{Change::kPut, "small", 0};
  });
  CHECK(InConflict(done));
  CHECK(Get("k")->size() == 100'000);
}

}  // namespace warren::test
