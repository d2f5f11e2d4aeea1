// Is a commit there in full or not at all, at whichever moment everything in memory goes?
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/fault_point.h"
#include "doctest/doctest.h"
#include "shmem/buffer_cache.h"
#include "storage/commit.h"
#include "storage/data_directory.h"
#include "storage/mini_transaction.h"
#include "storage/reclaim.h"
#include "storage/store.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "tests/crash/storage_life.h"
#include "tests/support/actors.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr uint32_t kDatabase = 1;  // empty in the specimen
using State = std::map<std::string, std::string>;

std::string Directory() { return ScratchDirectory() + "/commit"; }

// The specimen in a directory of its own, started, with a few keys in the database.
class Started {
 public:
  Started() : life_(Directory()) {
    CopyDirectory(GetSpecimen().directory, Directory());
    MustSucceed(life_.Start());
    for (const auto& [key, value] : before_) Put(key, value, kDatabase);
    MustSucceed(Wal::FlushAll());
  }
  const State& before() const { return before_; }
  // After a crash that keeps what has reached the log's files.
  Status Restart() { return life_.Start(); }

 private:
  const State before_ = {{"gone", "1"}, {"large", std::string(20'000, 'o')}, {"old", "2"}};
  Life life_;
};

// A commit's changes with the memory that they need, and what is there after it.
struct Commit {
  std::vector<CommitOp> ops;
  State after;
};

Commit MakeCommit(const std::vector<std::pair<std::string, std::string>>& puts,
                  std::vector<std::string>& memory) {
  Commit commit;
  memory.clear();
  memory.reserve(2 * puts.size());
  commit.ops.push_back({CommitOp::kEmptyDatabase, kDatabase, {}, {}, 0});
  for (const auto& [key, value] : puts) {
    memory.push_back(key);
    memory.push_back(value);
    commit.ops.push_back({CommitOp::kPut, kDatabase, memory[memory.size() - 2], memory.back(), 0});
    commit.after[key] = value;
  }
  return commit;
}

Commit SmallCommit(std::vector<std::string>& memory) {
  return MakeCommit({{"a", "1"},
                     {"large", std::string(30'000, 'n')},
                     {"middle", "2"},
                     {"other large", std::string(50'000, 'm')},
                     {"z", "3"}},
                    memory);
}

// Larger than the log's ring.
Commit HugeCommit(std::vector<std::string>& memory) {
  std::vector<std::pair<std::string, std::string>> puts;
  for (int i = 0; i < 4000; ++i) {
    puts.emplace_back(fmt::format("key{:05}", i * 7919 % 4000), std::string(1900, 'h'));
  }
  puts.emplace_back("large", std::string(100'000, 'H'));
  Commit commit = MakeCommit(puts, memory);
  CHECK(puts.size() * 1900 > Segment::WalRing().size());
  return commit;
}

// While it lives, the n-th arrival at `point` (from 0) calls `then` and gives the work up.
class CrashAt {
 public:
  CrashAt(
      FaultPoint point, int n, std::function<void()> then = [] {})
      : left_(n), then_(std::move(then)) {
    SetFaultAction(point, Act, this);
  }
  ~CrashAt() { ClearFaultActions(); }
  bool met() const { return left_ < 0; }

 private:
  static Status Act(FaultPoint, void* context) {
    auto& self = *static_cast<CrashAt*>(context);
    if (self.left_-- != 0) return {};
    self.then_();
    return MakeError(ErrorCode::kGeneric, "crashed");
  }
  int left_;
  std::function<void()> then_;
};

// What is found, and a clean check; a word for a state that is neither.
void CheckState(const State& expected) {
  CHECK(ReadDatabase(kDatabase) == expected);
  const Status checked = Store::Check();
  CHECK_MESSAGE(checked.ok(), (checked.ok() ? "" : checked.error().message));
  while (CollectGarbage(10'000) > 0) {
  }
  CHECK(ReadDatabase(kDatabase) == expected);
}

void Checkpoint() {
  const auto summary = DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0);
  REQUIRE_MESSAGE(summary.ok(), summary.error().message);
}

void MustFlush() { MustSucceed(Wal::FlushAll()); }

}  // namespace

TEST_CASE("a commit that was durable is there in full wherever its making ended") {
  std::vector<std::string> memory;
  const Commit commit = SmallCommit(memory);
  const auto changes = static_cast<int>(commit.ops.size());
  for (int n = 0; n <= changes; ++n) {
    CAPTURE(n);
    Started store;
    {
      const CrashAt crash(n < changes ? FaultPoint::kCommitChange : FaultPoint::kCommitEnd,
                          n < changes ? n : 0, MustFlush);
      CHECK_FALSE(CommitChanges(commit.ops, 1).ok());
    }
    MustSucceed(store.Restart());
    CheckState(commit.after);
  }
}

TEST_CASE("a commit that was not durable is not there at all") {
  Started store;
  std::vector<std::string> memory;
  const Commit commit = SmallCommit(memory);
  MustSucceed(CommitChanges(commit.ops, 1));
  MustSucceed(store.Restart());
  CheckState(store.before());
}

TEST_CASE("a checkpoint amid the making of a commit leaves redo what it needs") {
  std::vector<std::string> memory;
  const Commit commit = SmallCommit(memory);
  for (int n = 0; n < static_cast<int>(commit.ops.size()); ++n) {
    CAPTURE(n);
    Started store;
    {
      const CrashAt crash(FaultPoint::kCommitChange, n, Checkpoint);
      CHECK_FALSE(CommitChanges(commit.ops, 1).ok());
    }
    CHECK(Segment::Wal().log_begin.load() < Segment::Wal().redo_point.load());
    MustSucceed(store.Restart());
    CHECK(Segment::Wal().log_begin.load() < Segment::Wal().redo_point.load());
    CheckState(commit.after);
    Checkpoint();
    CHECK(Segment::Wal().log_begin.load() == Segment::Wal().redo_point.load());
    MustSucceed(store.Restart());
    CheckState(commit.after);
  }
}

TEST_CASE("the log that an unfinished commit needs stays through any number of checkpoints") {
  Started store;
  std::vector<std::string> memory;
  const Commit commit = SmallCommit(memory);
  {
    const CrashAt crash(FaultPoint::kCommitChange, 2);
    CHECK_FALSE(CommitChanges(commit.ops, 1).ok());
  }
  const uint64_t first_segment = SegmentOf(Segment::Procs().OldestCommit());
  while (SegmentOf(Wal::InsertPosition()) < first_segment + 2) {
    Put("filler", std::string(60'000, 'f'), 2);
    if (SegmentOffset(Wal::InsertPosition()) % 3 == 0) Checkpoint();
  }
  Checkpoint();
  MustSucceed(store.Restart());
  CheckState(commit.after);
}

TEST_CASE("a crash while redo finishes commits is followed by one that does it again") {
  std::vector<std::string> memory;
  const Commit commit = SmallCommit(memory);
  const auto changes = static_cast<int>(commit.ops.size());
  for (const bool checkpoint : {false, true}) {
    Started store;
    {
      const CrashAt crash(FaultPoint::kCommitChange, 1, checkpoint ? Checkpoint : MustFlush);
      CHECK_FALSE(CommitChanges(commit.ops, 1).ok());
    }
    for (int n = 0; n <= changes; ++n) {
      CAPTURE(n);
      const CrashAt crash(
          n < changes ? FaultPoint::kCommitChange : FaultPoint::kCommitEnd, n < changes ? n : 0,
          n % 2 == 0 ? MustFlush : [] {});
      CHECK_FALSE(store.Restart().ok());
      CHECK(crash.met());
    }
    MustSucceed(store.Restart());
    CheckState(commit.after);
  }
}

TEST_CASE("no chain that an unfinished commit names is collected before it is linked") {
  Started store;
  std::vector<std::string> memory;
  const Commit commit = SmallCommit(memory);
  {
    const CrashAt crash(FaultPoint::kCommitChange, 0, MustFlush);
    CHECK_FALSE(CommitChanges(commit.ops, 1).ok());
  }
  SetFaultAction(FaultPoint::kCommitChange, [](FaultPoint, void*) -> Status {
    while (CollectGarbage(10'000) > 0) {
    }
    return {};
  });
  MustSucceed(store.Restart());
  ClearFaultActions();
  CheckState(commit.after);
}

TEST_CASE("a commit larger than the log's ring is there in full or not at all") {
  std::vector<std::string> memory;
  struct Moment {
    FaultPoint point;
    int n;
    bool there;
  };
  for (const Moment& moment :
       {Moment{FaultPoint::kCommitChunk, 0, false}, Moment{FaultPoint::kCommitChunk, 100, false},
        Moment{FaultPoint::kCommitChange, 0, true}, Moment{FaultPoint::kCommitChange, 2500, true},
        Moment{FaultPoint::kCommitEnd, 0, true}}) {
    CAPTURE(static_cast<int>(moment.point));
    CAPTURE(moment.n);
    Started store;
    const Commit commit = HugeCommit(memory);
    {
      const CrashAt crash(moment.point, moment.n, MustFlush);
      CHECK_FALSE(CommitChanges(commit.ops, 1).ok());
      CHECK(crash.met());
    }
    MustSucceed(store.Restart());
    CheckState(moment.there ? commit.after : store.before());
  }
}

TEST_CASE("chunks of a process that died mean nothing, with a checkpoint behind them or without") {
  for (const bool checkpoint : {false, true}) {
    Started store;
    Child child([] {
      StoreWorld::BecomeProcess(1);
      std::vector<std::string> memory;
      const Commit commit = HugeCommit(memory);
      SetFaultAction(FaultPoint::kCommitChunk, [](FaultPoint, void*) -> Status {
        static int left = 20;
        if (left-- == 0) kill(getpid(), SIGKILL);
        return {};
      });
      (void)CommitChanges(commit.ops, 1);
      return false;
    });
    REQUIRE(child.WasKilled());
    if (checkpoint) Checkpoint();
    MustFlush();
    MustSucceed(store.Restart());
    CheckState(store.before());
  }
}

TEST_CASE("commits that follow each other come back as a prefix of them") {
  Started store;
  State state = store.before();
  std::vector<State> states = {state};
  std::vector<Lsn> ends = {Wal::InsertPosition()};
  for (int i = 0; i < 20; ++i) {
    const std::string value = std::to_string(i);
    const std::vector<CommitOp> ops = {{CommitOp::kPut, kDatabase, "left", value, 0},
                                       {CommitOp::kPut, kDatabase, "right", value, 0}};
    MustSucceed(CommitChanges(ops, 1));
    state["left"] = state["right"] = value;
    states.push_back(state);
    ends.push_back(LastChange());
    if (i == 11) MustFlush();
  }
  MustSucceed(store.Restart());
  CheckState(states[12]);
}

}  // namespace warren::test
