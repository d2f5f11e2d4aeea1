// Does a death at any step of a change cost nobody else anything, once it is repaired in place?
//
// Processes wait meanwhile for what the dead one holds; the repair is slow, so that whatever it
// lets go too early is used too early; and repairers die in it.
#include "storage/death_repair.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "lwlock/repair.h"
#include "storage/commit.h"
#include "tests/crash/storage_repair_world.h"

namespace warren::test {
namespace {

using State = History::State;

constexpr FaultPoint kPoints[] = {
    FaultPoint::kChangeDirty,      FaultPoint::kChangeArm,   FaultPoint::kChangeLog,
    FaultPoint::kLogCopy,          FaultPoint::kLogPlan,     FaultPoint::kLogPublish,
    FaultPoint::kChangeCount,      FaultPoint::kChangeApply, FaultPoint::kChangeDisarm,
    FaultPoint::kChangeDone,       FaultPoint::kLogWrite,    FaultPoint::kLogSync,
    FaultPoint::kLogFlushed,       FaultPoint::kLogRound,    FaultPoint::kBufferRead,
    FaultPoint::kBufferSetValid,   FaultPoint::kBufferWrite, FaultPoint::kBufferFlushLog,
    FaultPoint::kBufferClearDirty, FaultPoint::kBufferEvict, FaultPoint::kBufferUnlink,
    FaultPoint::kBufferTag,        FaultPoint::kBufferLink,  FaultPoint::kBufferZero};

constexpr FaultPoint kRepairPoints[] = {FaultPoint::kRepairVerdict, FaultPoint::kRepairChange,
                                        FaultPoint::kRepairPage,    FaultPoint::kRepairDisarm,
                                        FaultPoint::kRepairLocks,   FaultPoint::kRepairWake};

// One change by the victim: made, and noted in the history.
struct Change1 {
  std::string key;
  std::optional<std::string> value;
};

struct Operation {
  const char* name;
  std::function<std::vector<Change1>(int round)> changes;
};

std::string KeyOf(int i) { return fmt::format("key{:05}", i); }

std::vector<Change1> PutMany(int round, size_t bytes) {
  std::vector<Change1> changes;
  for (int i = 0; i < 40; ++i) {
    changes.push_back({fmt::format("key00100.{}.{}", round, i), std::string(bytes, 'm')});
  }
  return changes;
}

const Operation kOperations[] = {
    {"a new key",
     [](int round) {
       return std::vector<Change1>{{fmt::format("key00100-{}", round), "new"}};
     }},
    {"another value",
     [](int round) {
       return std::vector<Change1>{{KeyOf(100), fmt::format("v{}", round)}};
     }},
    {"an erased key",
     [](int round) {
       return std::vector<Change1>{{KeyOf(200 + round), std::nullopt}};
     }},
    {"values in chains",
     [](int round) {
       const auto fill = static_cast<char>('a' + round % 26);
       return std::vector<Change1>{{"key00100large", std::string(20'000, fill)},
                                   {"key00100large", std::string(30'000, fill)}};
     }},
    {"splits", [](int round) { return PutMany(round, 300); }},
    {"leaves emptied",
     [](int round) {
       std::vector<Change1> changes;
       for (int i = 0; i < 60; ++i) changes.push_back({KeyOf(2900 - 60 * round + i), std::nullopt});
       return changes;
     }},
    {"reads of everything",
     [](int) {
       return std::vector<Change1>{{"", std::nullopt}};
     }},
};

void Make(const Change1& change) {
  if (change.key.empty()) {
    (void)ReadDatabase();
  } else if (change.value.has_value()) {
    Put(change.key, *change.value);
  } else {
    (void)Erase(change.key);
  }
  MustSucceed(Wal::FlushAll());
}

// A store that does not fit into its cache, and processes in it.
class DeathWorld {
 public:
  DeathWorld() : stage_(region_.Allocate<Stage>(1)) {
    for (int i = 0; i < 3000; ++i) Put(KeyOf(i), std::string(200, 'v'));
    MustSucceed(Wal::FlushAll());
  }

  Stage& stage() { return *stage_; }
  // Waiters that stood in front of something when the victim died.
  int waited() const { return waited_; }
  StoreWorld& store() { return store_; }

  // Lets the victim make `changes` until it dies at the point. False: it came to its end first.
  bool RunToDeath(const std::vector<Change1>& changes, FaultPoint point, int passes) {
    return RunToDeath(
        [&] {
          for (const Change1& change : changes) {
            Make(change);
            stage_->changes.fetch_add(1);
          }
        },
        point, passes);
  }
  bool RunToDeath(FunctionRef<void()> body, FaultPoint point, int passes) {
    stage_->at_point = stage_->go = stage_->changes = stage_->waiters_done = 0;
    Doom doom{point, passes, stage_};
    Child victim([&] {
      StoreWorld::BecomeProcess(kVictimSlot);
      SetFaultAction(doom.point, WaitAndDie, &doom);
      body();
      StoreWorld::LeaveProcess(kVictimSlot);
      return true;
    });
    bool ended = false;
    REQUIRE(WaitFor([&] {
      ended = victim.HasEnded();
      return ended || stage_->at_point.load() != 0;
    }));
    if (stage_->at_point.load() == 0) {
      REQUIRE(victim.Succeeded());
      return false;
    }
    StartWaiters();
    waited_ += 2 - stage_->waiters_done.load();
    stage_->go = 1;
    REQUIRE(victim.WasKilled());
    Segment::Procs()[kVictimSlot].life = ProcLife::kDead;
    return true;
  }

  // As the process monitor does, with all others given time to use what is let go.
  void RepairSlowly() {
    for (const FaultPoint point : kRepairPoints) SetFaultAction(point, LetWaitersRun);
    REQUIRE_FALSE(WhyNotRepairable(kVictimSlot).has_value());
    (void)RepairDead(kVictimSlot);
    ClearFaultActions();
  }

  // The one that waits for the victim's log lock dies, too.
  void KillSecondWaiter() {
    waiters_.back()->Kill();
    REQUIRE(waiters_.back()->WasKilled());
    waiters_.pop_back();
    Segment::Procs()[kSecondWaiterSlot].life = ProcLife::kDead;
  }

  // A repairer dies at each step, one after the other.
  void RepairAndDie() {
    for (const FaultPoint point : kRepairPoints) {
      Child repairer([&] {
        SetFaultAction(point, [](FaultPoint, void*) -> Status {
          kill(getpid(), SIGKILL);
          return {};
        });
        if (!WhyNotRepairable(kVictimSlot).has_value()) (void)RepairDead(kVictimSlot);
        return true;
      });
      (void)repairer.Wait();
    }
  }

  // Afterwards: everybody came to their end, nobody because a sleep was over, and nothing is left.
  void CheckOthers() {
    for (const auto& waiter : waiters_) CHECK(waiter->Succeeded());
    waiters_.clear();
    CHECK(TimeoutsOnFreeLocks() == 0);
    CHECK(FindLeftovers(kVictimSlot) == "");
    Segment::Procs()[kVictimSlot].life = ProcLife::kFree;
  }

 private:
  void StartWaiters() {
    for (const SlotIndex slot : {kWaiterSlot, kSecondWaiterSlot}) {
      waiters_.push_back(std::make_unique<Child>([this, slot] {
        ClearFaultActions();
        StoreWorld::BecomeProcess(slot);
        // The victim's leaf and log, or only its log.
        const uint32_t database = slot == kWaiterSlot ? 0 : 1;
        Put("key00100waiter", "w", database);
        // More log than the victim's record would take: if that was let go unjudged, it is now
        // written over.
        for (int i = 0; i < 8 && database == 1; ++i) Put(KeyOf(i), std::string(200, 'w'), 1);
        MustSucceed(Wal::FlushAll());
        (void)Get(KeyOf(100), database);
        (void)ReadDatabase(database);
        stage_->waiters_done.fetch_add(1);
        StoreWorld::LeaveProcess(slot);
        return true;
      }));
    }
    // Each has done what it wanted, or waits.
    REQUIRE(WaitFor([&] {
      int waiting = stage_->waiters_done.load();
      for (const SlotIndex slot : {kWaiterSlot, kSecondWaiterSlot}) {
        const Proc& proc = Segment::Procs()[slot];
        if (proc.life == ProcLife::kRunning && proc.locks.wait_event.load() != 0) ++waiting;
      }
      return waiting >= 2;
    }));
  }

  // Has this one come to its end, or does it wait for the victim, or for one that does?
  static bool HasStopped(SlotIndex slot) {
    const Proc& proc = Segment::Procs()[slot];
    if (proc.life.load() != ProcLife::kRunning || WaitsFor(slot, kVictimSlot)) return true;
    const SlotIndex other = slot == kWaiterSlot ? kSecondWaiterSlot : kWaiterSlot;
    return WaitsFor(slot, other) && WaitsFor(other, kVictimSlot);
  }

  // Until whatever has been let go has been made use of. Not for ever: a wake-up may be yet to
  // come.
  static Status LetWaitersRun(FaultPoint, void*) {
    const int64_t until_ns = MonotonicNs() + 500'000'000;
    (void)WaitFor([&] {
      return (HasStopped(kWaiterSlot) && HasStopped(kSecondWaiterSlot)) || MonotonicNs() > until_ns;
    });
    return {};
  }

  SharedRegion region_{4096};
  Stage* stage_;
  StoreWorld store_{64, 4};
  std::vector<std::unique_ptr<Child>> waiters_;
  int waited_ = 0;
};

State ReadWithoutWaiters() {
  State state = ReadDatabase();
  state.erase("key00100waiter");
  return state;
}

// A crash of all: what redo finds in the log is what was in memory.
void CheckRedoAgrees(DeathWorld& world) {
  MustSucceed(Wal::FlushAll());
  const State memory = ReadDatabase();
  const uint64_t counted = Store::KeyCount(0);
  world.store().Stop();
  world.store().Start();
  CHECK(ReadDatabase() == memory);
  CHECK(Store::KeyCount(0) == counted);
  CHECK(FindFaults() == "");
}

// What is there is what was there before, with each change that the victim had ended and perhaps
// the one it was making.
void CheckAllOrNothing(const State& before, const std::vector<Change1>& changes, size_t ended) {
  State state = before;
  const auto apply = [&](const Change1& change) {
    if (change.value.has_value()) {
      state[change.key] = *change.value;
    } else {
      state.erase(change.key);
    }
  };
  for (size_t i = 0; i < ended; ++i) apply(changes[i]);
  const State found = ReadWithoutWaiters();
  if (found == state) return;
  REQUIRE(ended < changes.size());
  apply(changes[ended]);
  CHECK(found == state);
}

}  // namespace

TEST_CASE("a death at any step of any change is repaired while others wait") {
  int deaths = 0, waited = 0;
  for (const Operation& operation : kOperations) {
    DeathWorld world;
    int round = 0;
    for (const FaultPoint point : kPoints) {
      for (const int passes : {0, 2, 17}) {
        INFO(operation.name, " at ", std::string(FaultPointName(point)), " after ", passes);
        const std::vector<Change1> changes = operation.changes(++round);
        const State before = ReadWithoutWaiters();
        if (!world.RunToDeath(changes, point, passes)) continue;
        ++deaths;
        if (passes == 0) world.RepairAndDie();
        world.RepairSlowly();
        world.CheckOthers();
        CheckAllOrNothing(before, changes, static_cast<size_t>(world.stage().changes));
        const std::string faults = FindFaults();
        CHECK_MESSAGE(faults.empty(), faults);
      }
    }
    CheckRedoAgrees(world);
    waited += world.waited();
  }
  CHECK(deaths > 150);
  CHECK(waited > 100);
  MESSAGE(deaths, " deaths repaired, ", waited, " waited for");
}

TEST_CASE("a change of a dead process is there if and only if its record is in the log") {
  const struct {
    FaultPoint point;
    bool there;
  } kMoments[] = {
      {FaultPoint::kChangeDirty, false}, {FaultPoint::kChangeArm, false},
      {FaultPoint::kChangeLog, false},   {FaultPoint::kLogCopy, false},
      {FaultPoint::kLogPlan, false},     {FaultPoint::kLogPublish, false},
      {FaultPoint::kChangeCount, true},  {FaultPoint::kChangeApply, true},
      {FaultPoint::kChangeDisarm, true}, {FaultPoint::kChangeDone, true},
  };
  DeathWorld world;
  for (const auto& moment : kMoments) {
    const FaultPoint point = moment.point;
    const bool there = moment.there;
    INFO(std::string(FaultPointName(point)));
    const std::string key = fmt::format("key00100-{}", FaultPointName(point));
    Put("key00100", "marks the time");
    const uint64_t keys = Store::KeyCount(0);
    REQUIRE(world.RunToDeath({{key, "value"}}, point, 0));
    world.RepairSlowly();
    world.CheckOthers();
    CHECK(Get(key).has_value() == there);
    Erase("key00100waiter");
    CHECK(Store::KeyCount(0) == keys + (there ? 1 : 0));
  }
  CheckRedoAgrees(world);
}

TEST_CASE("two that died while one waited for the other are repaired in either order") {
  DeathWorld world;
  for (const bool waiter_first : {false, true}) {
    REQUIRE(world.RunToDeath({{"key00100new", "value"}}, FaultPoint::kLogPublish, 0));
    world.KillSecondWaiter();
    const auto repair_waiter = [] {
      REQUIRE_FALSE(WhyNotRepairable(kSecondWaiterSlot).has_value());
      (void)RepairDead(kSecondWaiterSlot);
      CHECK(FindLeftovers(kSecondWaiterSlot) == "");
      Segment::Procs()[kSecondWaiterSlot].life = ProcLife::kFree;
    };
    if (waiter_first) repair_waiter();
    world.RepairSlowly();
    if (!waiter_first) repair_waiter();
    world.CheckOthers();
    CHECK_FALSE(Get("key00100new").has_value());
    CHECK(FindFaults() == "");
  }
  CheckRedoAgrees(world);
}

TEST_CASE("a commit of a process that died anywhere is there wholly or not at all") {
  DeathWorld world;
  int deaths = 0, finished = 0, round = 0;
  for (const FaultPoint point :
       {FaultPoint::kLogCopy, FaultPoint::kLogPublish, FaultPoint::kCommitCount,
        FaultPoint::kCommitChange, FaultPoint::kChangeApply, FaultPoint::kCommitEnd}) {
    for (int passes = 0; passes < 10; ++passes) {
      INFO(std::string(FaultPointName(point)), " after ", passes);
      const std::string value = fmt::format("v{}", ++round);
      const auto put = [&](uint32_t database, std::string_view key) {
        return CommitOp{.kind = CommitOp::kPut, .database = database, .key = key, .value = value};
      };
      // From the second time on the first four share a record.
      const CommitOp ops[] = {put(0, "key00100a"), put(0, "key00500a"), put(0, "key01000a"),
                              put(0, "key01500a"), put(1, "other"),     put(2, "third")};
      const auto values = [&] {
        std::vector<std::optional<std::string>> all;
        for (const CommitOp& op : ops) all.push_back(Get(op.key, op.database));
        return all;
      };
      const auto before = values();
      if (!world.RunToDeath([&] { MustSucceed(CommitChanges(ops, 1)); }, point, passes)) continue;
      ++deaths;
      if (passes % 3 == 0) world.RepairAndDie();
      world.RepairSlowly();
      const Owner dead{kVictimSlot, Segment::Procs()[kVictimSlot].generation.load()};
      MustSucceed(FinishCommit(dead));
      world.CheckOthers();
      const auto after = values();
      const bool done = after[0] == value;
      CHECK(after ==
            (done ? std::vector<std::optional<std::string>>(std::size(ops), value) : before));
      if (done) ++finished;
      for (uint32_t database = 0; database < 4; ++database) {
        CHECK(ReadCommitStamp(database).settled());
      }
    }
  }
  CHECK(deaths > 20);
  CHECK(finished > 10);
  CHECK(finished < deaths);
  CheckRedoAgrees(world);
}

TEST_CASE("a change of a page that its process does not hold is not repaired in place") {
  DeathWorld world;
  Child victim([&] {
    StoreWorld::BecomeProcess(kVictimSlot);
    Put("key", "value");
    MiniTransactionAreaOf(kVictimSlot).armed = 1;  // as nobody who holds nothing can be
    kill(getpid(), SIGKILL);
    return false;
  });
  REQUIRE(victim.WasKilled());
  CHECK(WhyNotRepairable(kVictimSlot).has_value());
}

}  // namespace warren::test
