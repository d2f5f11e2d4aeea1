// May who repairs die, too, at any step and over any pair of dead ones?
//
// The process monitor as it is, in a forked process. Two have died, such that each holds what the
// other's repair might wait for; others wait for what they hold; a monitor is killed at each of its
// steps, and its successor has to clear away all three.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "postmaster/process_monitor.h"
#include "shmem/incident.h"
#include "shmem/stats.h"
#include "storage/commit.h"
#include "tests/crash/storage_repair_world.h"
#include "tests/support/lock_table_world.h"

namespace warren::test {
namespace {

constexpr SlotIndex kFirstVictim = 1;
constexpr SlotIndex kSecondVictim = 2;
constexpr SlotIndex kFirstWaiter = 3;
constexpr SlotIndex kFirstMonitor = 8;
constexpr SlotIndex kLastMonitor = 9;

// Where a monitor can die: its own steps, and what it does in them.
constexpr FaultPoint kMonitorPoints[] = {
    FaultPoint::kRepairVerdict, FaultPoint::kRepairChange, FaultPoint::kRepairPage,
    FaultPoint::kRepairDisarm,  FaultPoint::kRepairLocks,  FaultPoint::kRepairWake,
    FaultPoint::kRepairCommit,  FaultPoint::kCommitChange, FaultPoint::kChangeArm,
    FaultPoint::kLogCopy,       FaultPoint::kLogPublish,   FaultPoint::kChangeCount,
    FaultPoint::kChangeApply,   FaultPoint::kChangeDone,   FaultPoint::kLogWrite,
    FaultPoint::kLogSync,       FaultPoint::kLogFlushed,   FaultPoint::kLogRound,
    FaultPoint::kCommitEnd,     FaultPoint::kCommitCount,  FaultPoint::kRepairDrop,
    FaultPoint::kLockUnlink,    FaultPoint::kLockCount,    FaultPoint::kLockGrant,
    FaultPoint::kLockWake,      FaultPoint::kRepairFree,   FaultPoint::kIncidentOpen,
    FaultPoint::kIncidentWrite};

void QuietLog() {
  log::Options options;
  options.file = "/dev/null";
  if (std::getenv("WARREN_TEST_LOG") == nullptr) MustSucceed(log::Configure(options));
}

void LockKey(std::string_view key) {
  MustSucceed(LockTable::Lock(KeyTag(0, key), TxLockMode::kX, LockScope::kTransaction, Patient()));
}

CommitOp PutOp(std::string_view key, std::string_view value) {
  return {.kind = CommitOp::kPut, .database = 0, .key = key, .value = value};
}

// Four keys in one leaf with everybody else's.
constexpr std::string_view kCommitKeys[] = {"key100a", "key100b", "key100c", "key100d"};

void CommitAll(std::string_view value) {
  std::vector<CommitOp> ops;
  for (const std::string_view key : kCommitKeys) ops.push_back(PutOp(key, value));
  MustSucceed(CommitChanges(ops, 1));
}

void PutDurably(std::string_view key, std::string_view value) {
  Put(key, value);
  MustSucceed(Wal::FlushAll());
}

class MonitorWorld {
 public:
  explicit MonitorWorld(uint32_t buffers = 64) : store_(buffers, 4) {
    Segment::Server().postmaster_pid = getpid();  // it ignores SIGURG
    for (int i = 0; i < 300; ++i) Put(fmt::format("key{:03}", i), std::string(100, 'v'));
    MustSucceed(Wal::FlushAll());
    QuietLog();
  }

  // Does `body` in the slot until the point is passed `passes` times, and waits there for its end.
  void ToPoint(SlotIndex slot, FaultPoint point, int passes, const std::function<void()>& body) {
    Start(slot, point, passes, body);
    AwaitPoint(slot);
  }
  void Start(SlotIndex slot, FaultPoint point, int passes, const std::function<void()>& body) {
    Victim& victim = VictimOf(slot);
    victim.stage->at_point = victim.stage->go = 0;
    victim.doom = {point, passes, victim.stage};
    victim.child = std::make_unique<Child>([slot, &victim, &body] {
      LockTableWorld::BecomeChild(slot);
      SetFaultAction(victim.doom.point, WaitAndDie, &victim.doom);
      body();
      return true;
    });
  }
  void AwaitPoint(SlotIndex slot) {
    REQUIRE(WaitFor([&] { return VictimOf(slot).stage->at_point.load() != 0; }));
  }
  // Does `body` in the slot until it waits for something.
  void UntilItWaits(SlotIndex slot, const std::function<void()>& body) {
    VictimOf(slot).child = StartWaiting(slot, body);
  }
  void AddWaiter(const std::function<void()>& body) {
    const auto slot = static_cast<SlotIndex>(kFirstWaiter + waiters_.size());
    waiters_.push_back(StartWaiting(slot, body));
  }

  void KillVictim(SlotIndex slot) {
    Victim& victim = VictimOf(slot);
    victim.child->Kill();
    REQUIRE(victim.child->WasKilled());
    MarkDead(slot);
  }
  // As the postmaster does, having reaped it.
  void MarkDead(SlotIndex slot) {
    Proc& proc = Segment::Procs()[slot];
    proc.reaped_ns = MonotonicNs();
    proc.life = ProcLife::kDead;
    dead_.push_back({slot, proc.generation});
    ++deaths_;
  }

  // Starts a monitor; it dies at the point, having passed it `passes` times. False: it did not meet
  // it, and everything is cleared away.
  bool RunMonitorTo(FaultPoint point, int passes) {
    Child monitor([&] {
      Doom doom{point, passes, nullptr};
      SetFaultAction(point, DieAfter, &doom);
      return RunMonitor(kFirstMonitor);
    });
    REQUIRE(WaitFor([&] { return monitor.HasEnded() || AllCleared(); }));
    if (monitor.HasEnded()) {
      REQUIRE(monitor.WasKilled());
      MarkDead(kFirstMonitor);
      return true;
    }
    EndMonitor(monitor, kFirstMonitor);
    return false;
  }
  void RunMonitorToItsEnd() {
    Child monitor([&] { return RunMonitor(kLastMonitor); });
    CHECK(WaitFor([&] { return AllCleared() || monitor.HasEnded(); }));
    REQUIRE_FALSE(monitor.HasEnded());
    EndMonitor(monitor, kLastMonitor);
  }
  std::unique_ptr<Child> StartMonitor() {
    return std::make_unique<Child>([&] { return RunMonitor(kLastMonitor); });
  }
  static bool RunMonitor(SlotIndex slot) {
    (void)Segment::Procs().GiveOut(slot, ProcessKind::kProcessMonitor);
    Segment::BindProcess(slot);
    Latch::InstallHandlers();
    ProcArray::EnterRunning();
    return ProcessMonitorMain() == 0;
  }
  static void EndMonitor(Child& monitor, SlotIndex slot) {
    monitor.Kill();
    CHECK(monitor.WasKilled());
    CHECK(FindLeftovers(slot) == "");
    Segment::Procs()[slot].life = ProcLife::kFree;
  }

  // Whoever waited has come to their end, not because a sleep was over, and nothing is left.
  void CheckNothingIsLeft() {
    for (const auto& waiter : waiters_) CHECK(waiter->Succeeded());
    waiters_.clear();
    CHECK(TimeoutsOnFreeLocks() == 0);
    for (SlotIndex slot = 1; slot <= kLastMonitor; ++slot) {
      const Proc& proc = Segment::Procs()[slot];
      CHECK(proc.life == ProcLife::kFree);
      CHECK(FindLeftovers(slot) == "");
      CHECK(proc.commit_lsn == 0);
      CHECK(proc.op_start == 0);
      CHECK(Segment::Reserves()[slot].pages == 0);
    }
    CHECK(Segment::Wal().reserved_bytes == 0);
    CHECK(LockTable::EntryCount() == 0);
    CHECK(LockTable::CheckInvariants().ok());
    CHECK(ReadCommitStamp(0).settled());
    CHECK(FindFaults() == "");
    CheckEachIsToldOnce();
  }

  // However many monitors had to do with it.
  void CheckEachIsToldOnce() {
    CHECK(Stats::ReadSinceStart(StatId::kRepairs) == deaths_);
    for (const Owner dead : std::exchange(dead_, {})) {
      const auto incidents = IncidentsOf(dead);
      REQUIRE(incidents.size() == 1);
      CHECK(incidents[0].outcome.Get() == kRepairedInPlace);
    }
  }
  static std::vector<Incident> IncidentsOf(Owner dead) {
    std::vector<Incident> incidents;
    for (const NumberedIncident& one : Incidents::Newest(IncidentRing::kRows)) {
      const bool its = one.incident.slot == dead.slot && one.incident.generation == dead.generation;
      if (its) incidents.push_back(one.incident);
    }
    return incidents;
  }

  static bool AllCleared() {
    return std::ranges::none_of(Segment::Procs().slots(), [](const Proc& proc) {
      return proc.life.load() == ProcLife::kDead;
    });
  }
  StoreWorld& store() { return store_; }

 private:
  struct Victim {
    Stage* stage = nullptr;
    Doom doom{};
    std::unique_ptr<Child> child;
  };
  Victim& VictimOf(SlotIndex slot) { return victims_.at(slot - kFirstVictim); }

  static Status DieAfter(FaultPoint, void* context) {
    if (static_cast<Doom*>(context)->passes-- == 0) kill(getpid(), SIGKILL);
    return {};
  }
  std::unique_ptr<Child> StartWaiting(SlotIndex slot, const std::function<void()>& body) {
    auto child = std::make_unique<Child>([slot, &body] {
      LockTableWorld::BecomeChild(slot);
      body();
      LockTableWorld::LeaveProcess();
      return true;
    });
    REQUIRE(WaitFor([&] {
      const Proc& proc = Segment::Procs()[slot];
      return proc.life == ProcLife::kRunning && proc.locks.wait_event.load() != 0 &&
             child->WaitUntilAsleep();
    }));
    return child;
  }

  SharedRegion region_{4096};
  StoreWorld store_;
  std::array<Victim, 2> victims_{Victim{region_.Allocate<Stage>(1), {}, nullptr},
                                 Victim{region_.Allocate<Stage>(1), {}, nullptr}};
  std::vector<std::unique_ptr<Child>> waiters_;
  std::vector<Owner> dead_;  // since the last check
  uint64_t deaths_ = 0;
};

// Two deaths, and what must be true when they are cleared away.
struct Scene {
  const char* name;
  void (*die)(MonitorWorld& world, const std::string& value);
  void (*check)(const std::string& value);
};

void CheckCommitted(const std::string& value) {
  for (const std::string_view key : kCommitKeys) CHECK(Get(key) == value);
}

const Scene kScenes[] = {
    {"a change that is not in the log yet, and one that waits for its leaf",
     [](MonitorWorld& world, const std::string& value) {
       world.ToPoint(kFirstVictim, FaultPoint::kLogPublish, 0, [&] { Put("key100x", value); });
       world.UntilItWaits(kSecondVictim, [&] { Put("key100y", value); });
       world.AddWaiter([&] { PutDurably("key100w", value); });
       world.KillVictim(kSecondVictim);
       world.KillVictim(kFirstVictim);
     },
     [](const std::string& value) {
       CHECK(Get("key100x") != value);
       CHECK(Get("key100y") != value);
       CHECK(Get("key100w") == value);
     }},
    {"a commit half made, and one with its leaf and the insert lock",
     [](MonitorWorld& world, const std::string& value) {
       world.ToPoint(kFirstVictim, FaultPoint::kCommitChange, 1, [&] {
         for (const std::string_view key : kCommitKeys) LockKey(key);
         CommitAll(value);
       });
       world.ToPoint(kSecondVictim, FaultPoint::kLogPublish, 0, [&] { Put("key100y", value); });
       world.AddWaiter([&] {
         LockKey(kCommitKeys[3]);
         PutDurably("key100w", value);
       });
       world.AddWaiter([&] { PutDurably("key200w", value); });
       world.KillVictim(kFirstVictim);
       world.KillVictim(kSecondVictim);
     },
     [](const std::string& value) {
       CheckCommitted(value);
       CHECK(Get("key100y") != value);
       CHECK(Get("key100w") == value);
     }},
    {"two commits, of which one holds the leaf of both and the other what it waited for",
     [](MonitorWorld& world, const std::string& value) {
       world.ToPoint(kFirstVictim, FaultPoint::kCommitChange, 0, [&] {
         LockKey("key100b");
         CommitAll(value);
       });
       world.ToPoint(kSecondVictim, FaultPoint::kChangeApply, 0, [&] {
         LockKey("key100m");
         const CommitOp ops[] = {PutOp("key100m", value), PutOp("key100n", value)};
         MustSucceed(CommitChanges(ops, 1));
       });
       world.AddWaiter([&] {
         LockKey("key100m");
         LockKey("key100b");
         PutDurably("key100w", value);
       });
       world.KillVictim(kSecondVictim);
       world.KillVictim(kFirstVictim);
     },
     [](const std::string& value) {
       CheckCommitted(value);
       CHECK(Get("key100m") == value);
       CHECK(Get("key100n") == value);
     }},
    {"a death between a grant and its wake-up, and the one who was granted",
     [](MonitorWorld& world, const std::string& value) {
       world.Start(kFirstVictim, FaultPoint::kLockWake, 0, [] {
         LockKey("key100a");
         (void)WaitFor([] { return WaitingCount() == 2; });
         LockTable::ReleaseAll(LockScope::kTransaction);
       });
       CHECK(WaitFor([] { return LockTable::EntryCount() == 1; }));
       world.UntilItWaits(kSecondVictim, [] {
         LockKey("key100b");
         LockKey("key100a");
       });
       world.AddWaiter([&] {
         LockKey("key100b");
         LockKey("key100a");
         PutDurably("key100w", value);
       });
       world.AwaitPoint(kFirstVictim);
       world.KillVictim(kSecondVictim);
       world.KillVictim(kFirstVictim);
     },
     [](const std::string& value) { CHECK(Get("key100w") == value); }},
    {"a flush for others, and one of those",
     [](MonitorWorld& world, const std::string& value) {
       world.ToPoint(kFirstVictim, FaultPoint::kLogSync, 0, [&] { PutDurably("key100x", value); });
       world.UntilItWaits(kSecondVictim, [&] { PutDurably("key100y", value); });
       world.AddWaiter([&] { PutDurably("key100w", value); });
       world.AddWaiter([&] { PutDurably("key200w", value); });
       world.KillVictim(kFirstVictim);
       world.KillVictim(kSecondVictim);
     },
     [](const std::string& value) {
       for (const char* key : {"key100x", "key100y", "key100w", "key200w"})
         CHECK(Get(key) == value);
     }},
};

// A crash of all: what redo finds in the log is what was in memory.
void CheckRedoAgrees(MonitorWorld& world) {
  MustSucceed(Wal::FlushAll());
  const auto memory = ReadDatabase();
  world.store().Stop();
  world.store().Start();
  CHECK(ReadDatabase() == memory);
  CHECK(FindFaults() == "");
}

// The monitor sleeps for an LWLock that somebody has who is alive.
bool WaitsForLock(const Child& monitor) {
  const LockProc& locks = Segment::Procs()[kLastMonitor].locks;
  return WaitFor([&] { return locks.pending_lock.load() != nullptr; }) &&
         monitor.WaitUntilAsleep() && locks.pending_lock.load() != nullptr;
}

// Of `count` keys with values that are as large as they may be within a leaf.
std::vector<std::pair<std::string, std::string>> LargeCommit(int count, char fill) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (int i = 0; i < count; ++i) {
    pairs.emplace_back(fmt::format("large{:06}", i), std::string(1900, fill));
  }
  return pairs;
}
void CommitLarge(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::vector<CommitOp> ops;
  for (const auto& [key, value] : pairs) ops.push_back(PutOp(key, value));
  MustSucceed(CommitChanges(ops, 1));
}

}  // namespace

TEST_CASE("a process monitor killed at any of its steps over any pair of deaths costs nothing") {
  int deaths = 0, round = 0;
  for (const Scene& scene : kScenes) {
    MonitorWorld world;
    for (const FaultPoint point : kMonitorPoints) {
      bool met = true;
      for (const int passes : {0, 1, 2, 5}) {
        if (!met) break;
        INFO(std::string(scene.name), "; the monitor dies at ", std::string(FaultPointName(point)),
             " after ", passes);
        const std::string value = fmt::format("v{}", ++round);
        Put("key100", "marks the time");
        scene.die(world, value);
        met = world.RunMonitorTo(point, passes);
        if (met) world.RunMonitorToItsEnd();
        deaths += met ? 1 : 0;
        world.CheckNothingIsLeft();
        scene.check(value);
      }
    }
    CheckRedoAgrees(world);
  }
  CHECK(deaths > 150);
  MESSAGE(deaths, " deaths of the process monitor");
}

// One waits for an LWLock of the dead one, one for its lock of a key.
void DieWaitedFor(MonitorWorld& world) {
  world.ToPoint(kFirstVictim, FaultPoint::kLogPublish, 0, [] {
    LockKey("key100a");
    Put("key100x", "value");
  });
  world.AddWaiter([] { PutDurably("key100w", "value"); });
  world.AddWaiter([] { LockKey("key100a"); });
  world.KillVictim(kFirstVictim);
}

void CheckWhoWaited(const Incident& incident) {
  CHECK(incident.lwlock_waiters == 1);
  CHECK(incident.lock_waiters == 1);
  REQUIRE(incident.listed_waiters() == 2);
  const auto& lwlock = incident.waiters[0];
  CHECK(lwlock.slot == kFirstWaiter);
  CHECK(lwlock.lock.Get().starts_with("buffer_content "));
  CHECK(lwlock.waited_us > 0);
  CHECK(lwlock.waited_us == incident.longest_lwlock_wait_us);
  const auto& lock = incident.waiters[1];
  CHECK(lock.slot == kFirstWaiter + 1);
  CHECK(lock.lock.Get() == "key \"key100a\" of database 0");
  CHECK(lock.waited_us > 0);
  CHECK(lock.waited_us == incident.longest_lock_wait_us);
  CHECK(incident.lwlock_count > 0);
  CHECK(incident.lock_count == 1);
}

TEST_CASE(
    "who waited for a dead one is told, whichever step of the repair a monitor is killed at") {
  MonitorWorld world;
  int deaths = 0;
  for (const FaultPoint point : kMonitorPoints) {
    bool met = true;
    for (int passes = 0; met && passes < 4; ++passes) {
      INFO("the monitor dies at ", std::string(FaultPointName(point)), " after ", passes);
      Put("key100", "marks the time");
      DieWaitedFor(world);
      const Owner victim{kFirstVictim, Segment::Procs()[kFirstVictim].generation};
      met = world.RunMonitorTo(point, passes);
      if (met) world.RunMonitorToItsEnd();
      deaths += met ? 1 : 0;
      world.CheckNothingIsLeft();
      const auto incidents = MonitorWorld::IncidentsOf(victim);
      REQUIRE(incidents.size() == 1);
      CheckWhoWaited(incidents[0]);
    }
  }
  CHECK(deaths >= 12);
}

TEST_CASE("a monitor that waits in a commit for a lock repairs whoever dies holding it") {
  MonitorWorld world;
  for (int round = 0; round < 20; ++round) {
    const std::string value = fmt::format("v{}", round);
    world.ToPoint(kFirstVictim, FaultPoint::kCommitChange, 1, [&] { CommitAll(value); });
    Put("key100", "marks the time");
    world.ToPoint(kSecondVictim, FaultPoint::kLogPublish, 0, [&] { Put("key100y", value); });
    world.KillVictim(kFirstVictim);
    const std::unique_ptr<Child> monitor = world.StartMonitor();
    REQUIRE(WaitsForLock(*monitor));
    CHECK_FALSE(MonitorWorld::AllCleared());
    world.KillVictim(kSecondVictim);
    CHECK(WaitFor([] { return MonitorWorld::AllCleared(); }));
    MonitorWorld::EndMonitor(*monitor, kLastMonitor);
    world.CheckNothingIsLeft();
    CheckCommitted(value);
    CHECK(Get("key100y") != value);
  }
  CheckRedoAgrees(world);
}

// 64 MiB in the full form: many times the ring of the log, and the cache.
TEST_CASE("a death inside the insert lock while a large commit of a dead one is finished") {
  const int count = FullForm() ? 34'000 : 2'000;
  MonitorWorld world;
  const auto pairs = LargeCommit(count, 'l');
  world.ToPoint(kFirstVictim, FaultPoint::kCommitChange, count / 10, [&] { CommitLarge(pairs); });
  world.KillVictim(kFirstVictim);
  // One monitor dies in the middle of it, the next one has to wait for somebody.
  REQUIRE(world.RunMonitorTo(FaultPoint::kCommitChange, count / 2));
  Put("key100", "marks the time");
  world.ToPoint(kSecondVictim, FaultPoint::kLogPublish, 0, [&] { Put("key100y", "value"); });
  world.AddWaiter([&] { PutDurably("key100w", "value"); });
  const std::unique_ptr<Child> monitor = world.StartMonitor();
  REQUIRE(WaitsForLock(*monitor));
  world.KillVictim(kSecondVictim);
  CHECK(WaitFor([] { return MonitorWorld::AllCleared(); }, 120));
  MonitorWorld::EndMonitor(*monitor, kLastMonitor);
  world.CheckNothingIsLeft();
  CHECK(Get("key100y") != "value");
  for (const auto& [key, value] : pairs) REQUIRE(Get(key) == value);
  CheckRedoAgrees(world);
}

TEST_CASE("a monitor that is stopped in a repair goes on or has a successor, and nobody is early") {
  for (const bool killed : {false, true}) {
    MonitorWorld world;
    int stops = 0;
    for (const FaultPoint point : kMonitorPoints) {
      INFO(std::string(FaultPointName(point)), killed ? ", killed" : ", continued");
      Put("key100", "marks the time");
      const std::string value = fmt::format("v{}", FaultPointName(point));
      kScenes[1].die(world, value);
      Child monitor([&] {
        SetFaultAction(point, [](FaultPoint, void*) -> Status {
          ClearFaultActions();
          raise(SIGSTOP);
          return {};
        });
        return MonitorWorld::RunMonitor(kFirstMonitor);
      });
      REQUIRE(WaitFor([&] { return monitor.IsStopped() || MonitorWorld::AllCleared(); }));
      if (monitor.IsStopped()) {
        ++stops;
        if (killed) {
          monitor.Kill();
          REQUIRE(monitor.WasKilled());
          world.MarkDead(kFirstMonitor);
          world.RunMonitorToItsEnd();
        } else {
          REQUIRE(kill(monitor.pid(), SIGCONT) == 0);
        }
      }
      CHECK(WaitFor([] { return MonitorWorld::AllCleared(); }));
      if (!killed || !monitor.HasEnded()) MonitorWorld::EndMonitor(monitor, kFirstMonitor);
      world.CheckNothingIsLeft();
      kScenes[1].check(value);
    }
    CHECK(stops > 15);
    CheckRedoAgrees(world);
  }
}

}  // namespace warren::test
