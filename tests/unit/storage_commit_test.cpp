// Does a commit keep its header's promises?
#include <string>
#include <vector>

#include "base/fault_point.h"
#include "storage/commit.h"
#include "storage/commit_record.h"
#include "storage/fencing.h"
#include "storage/map_page.h"
#include "storage/reclaim.h"
#include "storage/wal.h"
#include "storage/wal_describe.h"
#include "tests/support/actors.h"
#include "tests/support/store_world.h"

#include <doctest/doctest.h>

namespace warren {
namespace {

using test::Get;
using test::MustSucceed;
using test::Put;
using test::ReadDatabase;
using test::StoreWorld;
using State = std::map<std::string, std::string>;

CommitOp PutOp(std::string_view key, std::string_view value, uint32_t database = 0,
               int64_t expire_at_ms = 0) {
  return {CommitOp::kPut, database, key, value, expire_at_ms};
}
CommitOp EraseOp(std::string_view key, uint32_t database = 0) {
  return {CommitOp::kErase, database, key, {}, 0};
}
CommitOp EmptyOp(uint32_t database) { return {CommitOp::kEmptyDatabase, database, {}, {}, 0}; }
CommitOp ExpireOp(std::string_view key, int64_t expire_at_ms) {
  return {CommitOp::kSetExpiry, 0, key, {}, expire_at_ms};
}

void Commit(const std::vector<CommitOp>& ops) { MustSucceed(CommitChanges(ops, 1)); }

void CheckClean() {
  const Status checked = Store::Check();
  CHECK_MESSAGE(checked.ok(), (checked.ok() ? "" : checked.error().message));
}

// How many records of each type the log has behind `from`.
std::map<std::string, int> RecordsSince(Lsn from) {
  MustSucceed(Wal::FlushAll());
  WalReader reader(from);
  WalDescriber describer;
  std::map<std::string, int> counts;
  for (;;) {
    const auto record = reader.Next();
    if (!record.ok() || !record->has_value()) return counts;
    const auto description = describer.Describe(**record);
    REQUIRE(description.ok());
    ++counts[description->type];
  }
}

// While it lives, the n-th arrival at `point` (from 0) gives the work up, as a crash would.
class GiveUpAt {
 public:
  GiveUpAt(FaultPoint point, int n) : left_(n) { SetFaultAction(point, Act, this); }
  ~GiveUpAt() { ClearFaultActions(); }
  bool met() const { return left_ < 0; }

 private:
  static Status Act(FaultPoint, void* context) {
    int& left = static_cast<GiveUpAt*>(context)->left_;
    if (left-- != 0) return {};
    return MakeError(ErrorCode::kGeneric, "given up");
  }
  int left_;
};

const std::string kLarge(40'000, 'L');
const std::string kOtherLarge(30'000, 'M');

TEST_CASE("a commit makes all of its changes, in several databases") {
  StoreWorld world;
  Put("erased", "1");
  Put("large before", kLarge);
  Put("expires later", "2");
  Put("other", "3", 1);
  Put("other large", kLarge, 1);
  Commit({EmptyOp(1), PutOp("new", "4"), EraseOp("erased"), PutOp("large", kLarge),
          PutOp("large before", kOtherLarge), ExpireOp("expires later", 5000),
          PutOp("in 1", "5", 1), PutOp("in 2", kLarge, 2), EraseOp("never was")});
  CHECK(ReadDatabase() == State{{"new", "4"},
                                {"large", kLarge},
                                {"large before", kOtherLarge},
                                {"expires later", "2"}});
  CHECK(Get("expires later", 0, 5000) == std::nullopt);
  CHECK(ReadDatabase(1) == State{{"in 1", "5"}});
  CHECK(ReadDatabase(2) == State{{"in 2", kLarge}});
  CHECK(Segment::Procs().OldestCommit() == 0);
  CheckClean();
}

TEST_CASE("of several changes of a key in one commit the last one counts") {
  StoreWorld world;
  Commit({PutOp("b", "1"), PutOp("a", kLarge), PutOp("b", kLarge), EraseOp("c"), PutOp("b", "2"),
          PutOp("a", kOtherLarge), PutOp("c", "3")});
  CHECK(ReadDatabase() == State{{"a", kOtherLarge}, {"b", "2"}, {"c", "3"}});
  CheckClean();
}

TEST_CASE("small values for leaves that hints lead to go into one record, one for each leaf") {
  StoreWorld world;
  constexpr int kKeys = 60;
  const auto key = [](int i) { return fmt::format("key{:03}", i); };
  State state;
  for (int i = 0; i < kKeys; ++i) state[key(i)] = std::string(1500, 'o');
  for (const auto& [name, value] : state) Put(name, value);
  for (const auto& [name, value] : state) REQUIRE(Get(name) == value);  // finds the hints
  const Lsn before = Wal::InsertPosition();
  std::vector<CommitOp> ops;
  std::vector<std::string> names;
  for (int i = 0; i < kKeys; i += 6) names.push_back(key(i));
  for (const std::string& name : names) {
    ops.push_back(PutOp(name, state[name] = "new", 0, name == key(12) ? 5000 : 0));
  }
  const std::string last = key(59);
  ops.push_back(PutOp(last, state[last] = kLarge));
  state[key(30)] = std::string(1600, 'p');  // longer: its cell moves
  ops[5].value = state[key(30)];
  Commit(ops);
  const auto records = RecordsSince(before);
  CHECK(records.at("leaf puts") == 2);  // of eight leaves and of two
  CHECK(records.at("leaf put") == 1);   // the chain
  CHECK(ReadDatabase() == state);
  CHECK(Store::ExpiresCount(0) == 1);
  CHECK(Get(key(12), 0, 5000) == std::nullopt);
  CheckClean();
}

TEST_CASE("keys of one leaf, new keys and a leaf that splits go by records of their own") {
  StoreWorld world;
  State state;
  for (const char* name : {"a", "b", "c"}) Put(name, state[name] = std::string(1900, '1'));
  for (const char* name : {"a", "b", "c"}) REQUIRE(Get(name) == state[name]);
  const Lsn before = Wal::InsertPosition();
  const auto long_value = [&](const char* name) -> std::string_view {
    return state[name] = std::string(1900, '4');
  };
  Commit({PutOp("a", state["a"] = "2"), PutOp("b", state["b"] = "3"), PutOp("n1", long_value("n1")),
          PutOp("n2", long_value("n2")), PutOp("n3", long_value("n3")),
          PutOp("n4", long_value("n4")), PutOp("n5", long_value("n5"))});
  CHECK(RecordsSince(before).at("split") >= 1);
  CHECK(ReadDatabase() == state);
  CHECK(Store::KeyCount(0) == state.size());
  CheckClean();
}

TEST_CASE("puts at once are one record for the leaves that hints lead to, and no commit") {
  StoreWorld world;
  State state;
  const auto key = [](int i) { return fmt::format("key{:03}", i); };
  std::vector<std::string> names;
  for (int i = 0; i < 60; ++i) names.push_back(key(i));
  const auto puts_of = [&](std::initializer_list<int> of) {
    std::vector<KeyPut> puts;
    for (const int i : of) puts.push_back({names.at(static_cast<size_t>(i)), "new"});
    return puts;
  };
  CHECK(Store::PutAtOnce(0, puts_of({0, 6}), 1) == 0);  // there is no tree
  for (const std::string& name : names) Put(name, state[name] = std::string(1500, 'o'));
  for (const std::string& name : names) REQUIRE(Get(name) == state[name]);  // finds the hints
  Put(key(20), state[key(20)] = std::string(1500, 'o'), 0, 5000);
  const Lsn before = Wal::InsertPosition();
  const auto puts = puts_of({0, 6, 12, 18, 24, 30, 36, 42, 48, 54});
  CHECK(Store::PutAtOnce(0, puts, 1) == kMostPutAtOnce);
  const auto records = RecordsSince(before);
  CHECK(records.at("leaf puts") == 1);
  CHECK(records.size() == 1);
  for (size_t i = 0; i < kMostPutAtOnce; ++i) state[std::string(puts[i].key)] = "new";
  CHECK(ReadDatabase() == state);

  // What the first puts can't be made with is left; then what comes first is.
  const auto made = [&](std::vector<KeyPut> these) {
    const size_t count = Store::PutAtOnce(0, these, 5000);
    for (size_t i = 0; i < count; ++i) state[std::string(these[i].key)] = these[i].value;
    return count;
  };
  CHECK(made(puts_of({3, 3})) == 1);       // the same leaf
  CHECK(made(puts_of({3, 9, 3})) == 2);    // the same leaf, not one behind the other
  CHECK(made({{key(9), kLarge}}) == 0);    // a chain
  CHECK(made(puts_of({3, 20, 30})) == 1);  // its time has come
  CHECK(made({{"no hint", "new"}}) == 0);
  Put(key(9), state[key(9)] = kLarge);
  CHECK(made(puts_of({3, 9, 30})) == 1);  // in place of a chain
  CHECK(made({{key(33), "new", 9000}}) == 1);
  CHECK(Store::ExpiresCount(0) == 2);
  CHECK(ReadDatabase() == state);
  CheckClean();
}

TEST_CASE("a single change needs no commit record") {
  StoreWorld world;
  Put("other", "1");
  const Lsn before = Wal::InsertPosition();
  Commit({PutOp("key", kLarge)});
  Commit({EraseOp("key")});
  Commit({EmptyOp(3), PutOp("key", "1")});  // there is nothing to empty
  CHECK(RecordsSince(before).count("commit") == 0);
  CHECK(ReadDatabase() == State{{"key", "1"}, {"other", "1"}});
  CheckClean();
}

TEST_CASE("what fits into one record is one, what does not is preceded by chunks") {
  StoreWorld world;
  Lsn before = Wal::InsertPosition();
  Commit({PutOp("a", "1"), PutOp("b", kLarge)});
  std::map<std::string, int> counts = RecordsSince(before);
  CHECK(counts["commit chunk"] == 0);
  CHECK(counts["commit"] == 1);
  CHECK(counts["commit end"] == 1);
  before = Wal::InsertPosition();
  std::vector<std::string> keys;
  for (int i = 0; i < 500; ++i) keys.push_back(fmt::format("key{:04}", i));
  std::vector<CommitOp> ops;
  for (const std::string& key : keys)
    ops.push_back(PutOp(key, std::string_view(kLarge).substr(0, 1900)));
  Commit(ops);
  counts = RecordsSince(before);
  CHECK(counts["commit chunk"] == 14);
  CHECK(counts["commit"] == 1);
  CHECK(counts["commit end"] == 1);
  CHECK(Store::KeyCount(0) == 502);
  CheckClean();
}

TEST_CASE("a commit that fails before its commit record changes nothing and leaves no garbage") {
  StoreWorld world;
  Put("key0001", "before");
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back(fmt::format("key{:04}", i));
  std::vector<CommitOp> ops;
  for (const std::string& key : keys)
    ops.push_back(PutOp(key, std::string_view(kLarge).substr(0, 1900)));
  ops.push_back(PutOp("large", kLarge));
  {
    const GiveUpAt fault(FaultPoint::kCommitChunk, 1);
    CHECK_FALSE(CommitChanges(ops, 1).ok());
    CHECK(fault.met());
  }
  CHECK(ReadDatabase() == State{{"key0001", "before"}});
  CHECK(Segment::Procs().OldestCommit() == 0);
  CHECK(ReadCommitStamp(0).settled());
  CheckClean();
  MustSucceed(Wal::FlushAll());
  world.Stop();
  world.Start();
  CHECK(ReadDatabase() == State{{"key0001", "before"}});
  CheckClean();
}

TEST_CASE("the stamp of a database says whether a commit is being made in it") {
  StoreWorld world;
  const CommitStamp before = ReadCommitStamp(0);
  CHECK(before.settled());
  Put("key", "1");
  Commit({PutOp("key", "2")});
  CHECK(ReadCommitStamp(0) == before);
  Commit({PutOp("key", "3"), PutOp("other", "1")});
  const CommitStamp after = ReadCommitStamp(0);
  CHECK(after.settled());
  CHECK_FALSE(after == before);
  CHECK(ReadCommitStamp(1) == before);
  {
    const GiveUpAt fault(FaultPoint::kCommitChange, 1);
    CHECK_FALSE(CommitChanges(std::vector{PutOp("key", "4"), PutOp("in 1", "1", 1)}, 1).ok());
  }
  CHECK_FALSE(ReadCommitStamp(0).settled());
  CHECK_FALSE(ReadCommitStamp(1).settled());
  CHECK(ReadCommitStamp(2).settled());
}

// -- A process dies in its commit; another one finishes it.

struct Death {
  const char* name;
  FaultPoint point;
  int n;
};

// A child with slot 1 commits `ops` and dies at the moment.
Owner CommitAndDie(const std::vector<CommitOp>& ops, const Death& death) {
  test::Child child([&] {
    StoreWorld::BecomeProcess(1);
    static int left;
    left = death.n;
    SetFaultAction(death.point, [](FaultPoint, void*) -> Status {
      if (left-- == 0) kill(getpid(), SIGKILL);
      return {};
    });
    (void)CommitChanges(ops, 1);
    return false;
  });
  CHECK(child.WasKilled());
  Segment::Procs()[1].life.store(ProcLife::kDead);
  return {1, Segment::Procs()[1].generation.load()};
}

TEST_CASE("the commit of a process that died is finished by another one, wherever it was") {
  const Death deaths[] = {{"before the first change", FaultPoint::kCommitChange, 0},
                          {"behind the emptying", FaultPoint::kCommitChange, 1},
                          {"behind the first large value", FaultPoint::kCommitChange, 2},
                          {"behind the second", FaultPoint::kCommitChange, 4},
                          {"before the end", FaultPoint::kCommitEnd, 0}};
  for (const Death& death : deaths) {
    INFO(std::string(death.name));
    StoreWorld world;
    Put("a", kOtherLarge);
    Put("old", kOtherLarge, 1);
    const Owner dead = CommitAndDie({EmptyOp(1), PutOp("a", kLarge), PutOp("b", "1"),
                                     PutOp("in 1", kLarge, 1), EraseOp("never")},
                                    death);
    CHECK_FALSE(ReadCommitStamp(0).settled());
    CHECK(Segment::Procs().OldestCommit() != 0);
    while (CollectGarbage(1000) > 0) {
    }
    MustSucceed(FinishCommit(dead));
    MustSucceed(FinishCommit(dead));
    CHECK(ReadCommitStamp(0).settled());
    CHECK(ReadCommitStamp(1).settled());
    CHECK(Segment::Procs().OldestCommit() == 0);
    Segment::Procs()[1].life.store(ProcLife::kFree);
    CHECK(ReadDatabase() == State{{"a", kLarge}, {"b", "1"}});
    CHECK(ReadDatabase(1) == State{{"in 1", kLarge}});
    while (CollectGarbage(1000) > 0) {
    }
    CHECK(ReadDatabase() == State{{"a", kLarge}, {"b", "1"}});
    CheckClean();
  }
}

TEST_CASE("of a process that died before its commit record nothing is made") {
  StoreWorld world;
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back(fmt::format("key{:04}", i));
  std::vector<CommitOp> ops;
  for (const std::string& key : keys)
    ops.push_back(PutOp(key, std::string_view(kLarge).substr(0, 1900)));
  ops.push_back(PutOp("large", kLarge));
  const Owner dead = CommitAndDie(ops, {"", FaultPoint::kCommitChunk, 1});
  CHECK(Segment::Procs().OldestCommit() != 0);
  MustSucceed(FinishCommit(dead));
  CHECK(Segment::Procs().OldestCommit() == 0);
  Segment::Procs()[1].life.store(ProcLife::kFree);
  CHECK(ReadDatabase().empty());
  CHECK(ReadCommitStamp(0).settled());
  CHECK(CollectGarbage(1000) > 0);  // the chain of the large value
  CheckClean();
}

// -- Fencing tokens.

uint64_t Token() {
  const Result<uint64_t> token = NextFencingToken();
  REQUIRE(token.ok());
  return *token;
}

TEST_CASE("fencing tokens grow by one, and a block of them costs one flush") {
  StoreWorld world;
  CHECK(Token() == 1);
  const Lsn flushed = Wal::FlushPosition();
  for (uint64_t i = 2; i < kTokensPerBlock; ++i) CHECK(Token() == i);
  CHECK(Wal::FlushPosition() == flushed);
  while (Wal::FlushPosition() == flushed) Token();
  CHECK(Token() < 2 * kTokensPerBlock);
}

TEST_CASE("fencing tokens grow over a crash, a checkpoint and a clean restart") {
  StoreWorld world;
  uint64_t newest = Token();
  const auto crash = [&] {
    world.Stop();
    world.Start();
  };
  const auto check = [&] {
    const uint64_t token = Token();
    CHECK(token > newest);
    CHECK(token <= newest + 2 * kTokensPerBlock);
    newest = token;
  };
  crash();
  check();
  for (int i = 0; i < 2500; ++i) newest = Token();
  crash();
  check();
  REQUIRE(DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0).ok());
  crash();
  check();
  world.Restart();
  check();
  world.Restart();
  world.Restart();
  check();
}

TEST_CASE("no two processes get the same fencing token") {
  StoreWorld world;
  struct Shared {
    std::atomic<uint64_t> sum;
    std::atomic<uint64_t> largest;
  };
  constexpr uint64_t kEach = 5000;
  for (const auto form : {test::ActorForm::kThreads, test::ActorForm::kProcesses}) {
    const uint64_t before = Token();
    auto* shared = reinterpret_cast<Shared*>(Segment::StatBaseline());
    shared->sum = 0;
    const bool done = test::RunActors(form, 3, [&](int actor) {
      const auto slot = static_cast<SlotIndex>(actor + 1);
      StoreWorld::BecomeProcess(slot);
      uint64_t newest = before;
      for (uint64_t i = 0; i < kEach; ++i) {
        const Result<uint64_t> token = NextFencingToken();
        if (!token.ok() || *token <= newest) return false;
        newest = *token;
        shared->sum += newest - before;
      }
      StoreWorld::LeaveProcess(slot);
      return true;
    });
    CHECK(done);
    CHECK(shared->sum == 3 * kEach * (3 * kEach + 1) / 2);
  }
}

}  // namespace
}  // namespace warren
