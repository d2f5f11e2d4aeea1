// Is every circle of waits found, and ended by its youngest member alone?
#include "shmem/lock_deadlock.h"

#include <fmt/format.h>
#include <sched.h>

#include <atomic>
#include <string>

#include "base/clock.h"
#include "base/fault_point.h"
#include "shmem/stats.h"
#include "tests/support/lock_table_world.h"
#include "tests/support/shared_region.h"

#include <doctest/doctest.h>

namespace warren::test {
namespace {

using Mode = TxLockMode;
constexpr LockScope kTx = LockScope::kTransaction;
constexpr int64_t kDeadlockTimeoutMs = 10;

LockWait Searching() { return Patient(kDeadlockTimeoutMs); }

constexpr auto NumberedKey = [](int i) { return KeyTag(0, fmt::format("k{}", i)); };

// What the processes of a test tell each other.
struct Stage {
  std::atomic<int> step;
  std::atomic<int> granted;
  std::atomic<int> victims;
  std::atomic<uint32_t> victim_slot;
  SharedText<1024> text;

  void Reach(int to) { step.store(to); }
  bool Await(int until) {
    return WaitFor([&] { return step.load() >= until; });
  }
  // Counts a lock's outcome; false if it is neither granted nor a deadlock.
  bool Note(const Status& status) {
    if (status.ok()) {
      granted.fetch_add(1);
      return true;
    }
    if (status.error().code != ErrorCode::kDeadlock) return false;
    victims.fetch_add(1);
    victim_slot.store(ProcArray::SelfOwner().slot);
    text.Set(status.error().message);
    return true;
  }
};

// Member i of a circle of `count` holds what member i - 1 wants. They are as old as their numbers
// say; member `last` is the last one to begin to wait.
void PlayCircle(int count, int last, FunctionRef<LockTag(int)> tag, Mode mode) {
  const LockTableWorld world;
  SharedRegion region(8192);
  Stage& stage = *region.Allocate<Stage>();
  std::atomic<int>& ready = *region.Allocate<std::atomic<int>>();
  const bool ok = RunActors(ActorForm::kProcesses, count, [&](int member) {
    const auto slot = static_cast<SlotIndex>(member + 1);
    Latch::InstallHandlers();
    LockTableWorld::BecomeProcess(slot);
    // One after the other, so that ages follow the numbers.
    bool good = WaitFor([&] { return ready.load() == member; });
    LockTable::BeginTransaction();
    good &= TryLocked(tag(member), mode);
    ready.fetch_add(1);
    good &= WaitFor([&] { return ready.load() >= count; });
    const auto others = static_cast<size_t>(count - 1);
    if (member == last) good &= WaitFor([&] { return WaitingCount() == others; });
    good &= stage.Note(LockTable::Lock(tag((member + 1) % count), mode, kTx, Searching()));
    LockTableWorld::LeaveProcess();
    return good;
  });
  CHECK(ok);
  CHECK(stage.victims.load() == 1);
  CHECK(stage.granted.load() == count - 1);
  CHECK(stage.victim_slot.load() == static_cast<uint32_t>(count));  // the youngest
  CHECK(Stats::Read(StatId::kDeadlocks) == 1);
  CHECK(LockTable::EntryCount() == 0);
}

}  // namespace

TEST_CASE("of two that wait for each other the younger gives way whoever of them came last") {
  for (const int last : {0, 1}) {
    PlayCircle(2, last, NumberedKey, Mode::kX);
  }
}

TEST_CASE("a circle over databases, keys and names is found at any length") {
  const auto tag = [](int i) {
    switch (i % 3) {
      case 0:
        return NumberedKey(i);
      case 1:
        return DatabaseTag(static_cast<uint32_t>(i % 4));
      default:
        return AdvisoryTag(fmt::format("name{}", i));
    }
  };
  for (const int count : {3, 5, 8}) {
    // Among these the youngest waits first: it must be found by somebody else's later search.
    for (const int last : {0, count / 2, count - 1}) PlayCircle(count, last, tag, Mode::kX);
  }
}

TEST_CASE("the error names who waits for what and who holds it") {
  const LockTableWorld world;
  SharedRegion region(8192);
  Stage& stage = *region.Allocate<Stage>();
  const bool ok = RunActors(ActorForm::kProcesses, 2, [&](int member) {
    LockTableWorld::BecomeChild(static_cast<SlotIndex>(member + 1));
    ProcArray::Self().client.client_id.store(static_cast<uint64_t>(member + 70));
    bool good = member == 0 || stage.Await(1);
    LockTable::BeginTransaction();
    good &= TryLocked(member == 0 ? KeyTag(3, "a\n") : DatabaseTag(2), Mode::kX);
    stage.Reach(member + 1);
    good &= stage.Await(2);
    const LockTag wanted = member == 0 ? DatabaseTag(2) : KeyTag(3, "a\n");
    good &=
        stage.Note(LockTable::Lock(wanted, member == 0 ? Mode::kIS : Mode::kS, kTx, Searching()));
    LockTableWorld::LeaveProcess();
    return good;
  });
  CHECK(ok);
  std::string text(stage.text.Get());
  const auto client = [](int member) {
    return fmt::format("client {} (slot {}, pid {})", member + 70, member + 1,
                       Segment::Procs()[static_cast<SlotIndex>(member + 1)].pid.load());
  };
  CHECK(text == client(1) + " waits for S on key \"a\\x0a\" of database 3, held by " + client(0) +
                    " in X; " + client(0) + " waits for IS on database 2, held by " + client(1) +
                    " in X");
}

TEST_CASE("two holders who both want more are a deadlock and one of them gets it") {
  const LockTableWorld world;
  SharedRegion region(8192);
  Stage& stage = *region.Allocate<Stage>();
  const bool ok = RunActors(ActorForm::kProcesses, 2, [&](int member) {
    LockTableWorld::BecomeChild(static_cast<SlotIndex>(member + 1));
    LockTable::BeginTransaction();
    bool good = TryLocked(NumberedKey(0), Mode::kS);
    stage.step.fetch_add(1);
    good &= stage.Await(2);
    const Status status = LockTable::Lock(NumberedKey(0), Mode::kX, kTx, Searching());
    good &= stage.Note(status);
    // The victim still has what it had, and that is what the other one waits for.
    good &= LockTable::Held(NumberedKey(0)) == (status.ok() ? Mode::kX : Mode::kS);
    good &= LockTable::CheckInvariants().ok();
    LockTableWorld::LeaveProcess();
    return good;
  });
  CHECK(ok);
  CHECK(stage.victims.load() == 1);
  CHECK(stage.granted.load() == 1);
}

TEST_CASE("a circle that leads through a place in the queue is found") {
  // 1 holds a in S. 2 holds b and waits for a in X. 3 waits for a in S behind 2, and 1 waits for
  // what 3 holds.
  const LockTableWorld world;
  SharedRegion region(8192);
  Stage& stage = *region.Allocate<Stage>();
  const bool ok = RunActors(ActorForm::kProcesses, 3, [&](int member) {
    LockTableWorld::BecomeChild(static_cast<SlotIndex>(member + 1));
    bool good = stage.Await(member);
    LockTable::BeginTransaction();
    if (member == 0) good &= TryLocked(NumberedKey(0), Mode::kS);
    if (member == 2) good &= TryLocked(NumberedKey(1), Mode::kX);
    stage.Reach(member + 1);
    if (member == 0) good &= WaitFor([] { return WaitingCount() == 2; });
    if (member == 2) good &= WaitFor([] { return WaitingCount() == 1; });
    const LockTag wanted = member == 0 ? NumberedKey(1) : NumberedKey(0);
    good &=
        stage.Note(LockTable::Lock(wanted, member == 1 ? Mode::kX : Mode::kS, kTx, Searching()));
    LockTableWorld::LeaveProcess();
    return good;
  });
  CHECK(ok);
  CHECK(stage.victims.load() == 1);
  CHECK(stage.victim_slot.load() == 3);
  CHECK(stage.granted.load() == 2);
  CHECK(std::string(stage.text.Get()).find("awaited longer by") != std::string::npos);
}

TEST_CASE("a chain of waits without a circle has no victim") {
  static constexpr int kLength = 6;
  const LockTableWorld world;
  SharedRegion region(8192);
  Stage& stage = *region.Allocate<Stage>();
  const bool ok = RunActors(ActorForm::kProcesses, kLength, [&](int member) {
    LockTableWorld::BecomeChild(static_cast<SlotIndex>(member + 1));
    bool good = TryLocked(NumberedKey(member), Mode::kX);
    stage.step.fetch_add(1);
    good &= stage.Await(kLength);
    if (member == 0) {
      // Until everybody has waited and somebody has searched since.
      good &= WaitFor([] { return WaitingCount() == kLength - 1; });
      const int64_t now_us = MonotonicUs();
      good &= WaitFor([&] { return g_lock_pool.state->last_search_us.load() > now_us; });
    } else {
      good &= stage.Note(LockTable::Lock(NumberedKey(member - 1), Mode::kS, kTx, Searching()));
    }
    LockTableWorld::LeaveProcess();
    return good;
  });
  CHECK(ok);
  CHECK(stage.granted.load() == kLength - 1);
  CHECK(stage.victims.load() == 0);
}

TEST_CASE("who only waits behind a circle is not its victim") {
  // 1 holds a, 2 holds b. 3, the youngest, waits for a; 2 waits for a behind 3; 1 waits for b.
  const LockTableWorld world;
  SharedRegion region(8192);
  Stage& stage = *region.Allocate<Stage>();
  const bool ok = RunActors(ActorForm::kProcesses, 3, [&](int member) {
    LockTableWorld::BecomeChild(static_cast<SlotIndex>(member + 1));
    bool good = stage.Await(member);
    LockTable::BeginTransaction();
    if (member < 2) good &= TryLocked(NumberedKey(member), Mode::kX);
    stage.Reach(member + 1);
    if (member == 1) good &= WaitFor([] { return WaitingCount() == 1; });
    if (member == 0) good &= WaitFor([] { return WaitingCount() == 2; });
    good &= stage.Await(3);
    const LockTag wanted = member == 0 ? NumberedKey(1) : NumberedKey(0);
    good &= stage.Note(LockTable::Lock(wanted, Mode::kX, kTx, Searching()));
    LockTableWorld::LeaveProcess();
    return good;
  });
  CHECK(ok);
  CHECK(stage.victims.load() == 1);
  CHECK(stage.victim_slot.load() == 2);
  CHECK(stage.granted.load() == 2);
}

TEST_CASE("one search ends all circles also those that the searcher is not on") {
  // Two circles of two that never look themselves, and one who waits for something else and does.
  const LockTableWorld world;
  REQUIRE(TryLocked(NumberedKey(100), Mode::kX));
  SharedRegion region(8192);
  Stage& stage = *region.Allocate<Stage>();
  const bool ok = RunActors(ActorForm::kProcesses, 5, [&](int member) {
    LockTableWorld::BecomeChild(static_cast<SlotIndex>(member + 1));
    LockTable::BeginTransaction();
    bool good = TryLocked(NumberedKey(member), Mode::kX);
    stage.step.fetch_add(1);
    good &= stage.Await(5);
    if (member < 4) {
      good &= stage.Note(LockTable::Lock(NumberedKey(member ^ 1), Mode::kX, kTx, Patient()));
    } else {
      good &= WaitFor([] { return WaitingCount() == 4; });
      auto after_one_search = []() -> Status {
        if (g_lock_pool.state->last_search_us.load() == 0) return {};
        return MakeError(ErrorCode::kShutdown, "searched");
      };
      const LockWait once{
          .timeout_ms = 0, .deadlock_timeout_ms = 10, .client_fd = -1, .attend = after_one_search};
      const Status status = LockTable::Lock(NumberedKey(100), Mode::kX, kTx, once);
      good &= !status.ok() && status.error().code == ErrorCode::kShutdown;
    }
    LockTableWorld::LeaveProcess();
    return good;
  });
  CHECK(ok);
  CHECK(stage.victims.load() == 2);
  CHECK(stage.granted.load() == 2);
}

TEST_CASE("a victim that does not look itself is woken and its next wait is another one") {
  const LockTableWorld world;
  REQUIRE(TryLocked(NumberedKey(2), Mode::kX));
  SharedRegion region(8192);
  Stage& stage = *region.Allocate<Stage>();
  const bool ok = RunActors(ActorForm::kProcesses, 2, [&](int member) {
    LockTableWorld::BecomeChild(static_cast<SlotIndex>(member + 1));
    bool good = member == 0 || stage.Await(1);
    LockTable::BeginTransaction();
    good &= TryLocked(NumberedKey(member), Mode::kX);
    stage.Reach(member + 1);
    good &= stage.Await(2);
    const LockWait wait = member == 0 ? Searching() : Patient();
    good &= stage.Note(LockTable::Lock(NumberedKey(1 - member), Mode::kX, kTx, wait));
    if (member == 1) {
      // The mark of the wait that was ended means nothing to this one.
      const Status status = LockTable::Lock(NumberedKey(2), Mode::kX, kTx, ForAtMost(5));
      good &= !status.ok() && status.error().code == ErrorCode::kLockTimeout;
    }
    LockTableWorld::LeaveProcess();
    return good;
  });
  CHECK(ok);
  CHECK(stage.victim_slot.load() == 2);
  CHECK(stage.granted.load() == 1);
}

TEST_CASE("a victim that is granted before it could give up takes the grant") {
  const LockTableWorld world;
  SharedRegion region(8192);
  Stage& stage = *region.Allocate<Stage>();
  const bool ok = RunActors(ActorForm::kProcesses, 2, [&](int member) {
    LockTableWorld::BecomeChild(static_cast<SlotIndex>(member + 1));
    bool good = member == 0 || stage.Await(1);
    LockTable::BeginTransaction();
    good &= TryLocked(NumberedKey(member), Mode::kX);
    stage.Reach(member + 1);
    good &= stage.Await(2);
    if (member == 0) {
      // Ends its own wait as soon as the other one is the victim, and lets everything go.
      auto attend = [&]() -> Status {
        if (stage.step.load() < 3) return {};
        return MakeError(ErrorCode::kShutdown, "enough");
      };
      LockWait wait{.timeout_ms = 0, .deadlock_timeout_ms = 5, .client_fd = -1, .attend = attend};
      good &= !LockTable::Lock(NumberedKey(1), Mode::kX, kTx, wait).ok();
    } else {
      SetFaultAction(
          FaultPoint::kLockGiveUp,
          [](FaultPoint, void* context) -> Status {
            static_cast<Stage*>(context)->Reach(3);
            (void)WaitFor([] { return WaitingCount(2) == 0; });
            return {};
          },
          &stage);
      good &= stage.Note(LockTable::Lock(NumberedKey(0), Mode::kX, kTx, Searching()));
      good &= LockTable::Held(NumberedKey(0)) == Mode::kX;
      ClearFaultActions();
    }
    LockTableWorld::LeaveProcess();
    return good;
  });
  CHECK(ok);
  CHECK(stage.granted.load() == 1);
  CHECK(stage.victims.load() == 0);
  CHECK(Stats::Read(StatId::kDeadlocks) == 0);
}

TEST_CASE("random transactions that deadlock all come to their end") {
  constexpr int kActors = 8;
  constexpr int kKeys = 6;
  for (const ActorForm form : {ActorForm::kThreads, ActorForm::kProcesses}) {
    const int rounds = (FullForm() ? 10 : 1) * (form == ActorForm::kThreads ? 40 : 150);
    CAPTURE(static_cast<int>(form));
    const LockTableWorld world;
    SharedRegion region(8192);
    std::atomic<uint64_t>* const sums = region.Allocate<std::atomic<uint64_t>>(kKeys);
    std::atomic<uint64_t>& victims = *region.Allocate<std::atomic<uint64_t>>();
    const bool ok = RunActors(form, kActors, [&](int actor) {
      if (form == ActorForm::kProcesses) Latch::InstallHandlers();
      LockTableWorld::BecomeProcess(static_cast<SlotIndex>(actor + 1));
      uint64_t random = static_cast<uint64_t>(actor) + 1;
      const auto next = [&](uint64_t below) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        return static_cast<int>((random >> 33) % below);
      };
      bool good = true;
      for (int done = 0; done < rounds && good;) {
        LockTable::BeginTransaction();
        const int keys[] = {next(kKeys), next(kKeys)};
        Status status;
        for (const int key : keys) {
          // Shared first now and then, so that upgrades meet.
          if (next(3) == 0) status = LockTable::Lock(NumberedKey(key), Mode::kS, kTx, Patient(1));
          if (status.ok() && next(2) == 0) sched_yield();
          if (status.ok()) status = LockTable::Lock(NumberedKey(key), Mode::kX, kTx, Patient(1));
          if (!status.ok()) break;
        }
        if (status.ok()) {
          // Not atomically added: the locks are what keeps the sum right.
          for (const int key : keys) sums[key].store(sums[key].load() + 1);
          ++done;
        } else {
          good = status.error().code == ErrorCode::kDeadlock;
          victims.fetch_add(1);
        }
        LockTable::ReleaseAll(kTx);
      }
      LockTableWorld::LeaveProcess();
      return good;
    });
    CHECK(ok);
    uint64_t sum = 0;
    for (int key = 0; key < kKeys; ++key) sum += sums[key].load();
    CHECK(sum == uint64_t{2} * kActors * static_cast<uint64_t>(rounds));
    CHECK(victims.load() > 0);
    CHECK(victims.load() == Stats::Read(StatId::kDeadlocks));
    CHECK(LockTable::EntryCount() == 0);
  }
}

}  // namespace warren::test
