// Does the lock table keep what its header promises to one process at a time?
//
// Other processes are played by the same one in another slot (As), one call at a time.
#include "shmem/lock_table.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/clock.h"
#include "shmem/lock_pool.h"
#include "shmem/stats.h"
#include "tests/support/lock_table_world.h"

#include <doctest/doctest.h>

namespace warren::test {
namespace {

using Mode = TxLockMode;
constexpr LockScope kTx = LockScope::kTransaction;
constexpr LockScope kSession = LockScope::kSession;
constexpr Mode kModes[] = {Mode::kIS, Mode::kIX, Mode::kS, Mode::kX};

// Runs `body` in a child of its own slot; true if it returned true. The child leaves in order.
bool InChild(FunctionRef<bool()> body, SlotIndex slot = 1) {
  Child child([&] {
    LockTableWorld::BecomeChild(slot);
    const bool ok = body();
    LockTableWorld::LeaveProcess();
    return ok;
  });
  return child.Succeeded();
}

size_t Entries() { return LockTable::EntryCount(); }

void Consistent() {
  const Status status = LockTable::CheckInvariants();
  CHECK_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message));
}

}  // namespace

TEST_CASE("modes conflict as the table says and unite to the weakest that allows both") {
  for (const Mode a : kModes) {
    CHECK(!Conflicts(a, Mode::kNone));
    CHECK(Union(a, Mode::kNone) == a);
    for (const Mode b : kModes) {
      CHECK(Conflicts(a, b) == Conflicts(b, a));
      CHECK(Union(a, b) == Union(b, a));
      CHECK(Covers(Union(a, b), a));
      for (const Mode c : kModes) {
        if (Conflicts(a, c) || Conflicts(b, c)) CHECK(Conflicts(Union(a, b), c));
      }
    }
  }
  CHECK(Union(Mode::kIX, Mode::kS) == Mode::kX);
  CHECK(!Conflicts(Mode::kIX, Mode::kIX));
  CHECK(Conflicts(Mode::kIX, Mode::kS));
  CHECK(!Conflicts(Mode::kIS, Mode::kS));
}

TEST_CASE("two owners hold a lock together exactly when their modes go together") {
  const LockTableWorld world;
  for (const Mode mine : kModes) {
    for (const Mode theirs : kModes) {
      CAPTURE(mine);
      CAPTURE(theirs);
      REQUIRE(TryLocked(KeyTag(0, "k"), mine));
      CHECK(InChild([&] {
        return TryLocked(KeyTag(0, "k"), theirs) == !Conflicts(mine, theirs) &&
               TryLocked(KeyTag(0, "other"), theirs) && TryLocked(KeyTag(1, "k"), theirs) &&
               TryLocked(AdvisoryTag("k"), theirs);
      }));
      LockTable::ReleaseAll(kTx);
      CHECK(Entries() == 0);
    }
  }
}

TEST_CASE("asking again takes no further entry and a stronger mode replaces the weaker") {
  const LockTableWorld world;
  const LockTag tag = KeyTag(0, "k");
  REQUIRE(TryLocked(tag, Mode::kS));
  REQUIRE(TryLocked(tag, Mode::kS));
  CHECK(LockTable::Held(tag) == Mode::kS);
  REQUIRE(TryLocked(tag, Mode::kX));
  CHECK(LockTable::Held(tag) == Mode::kX);
  CHECK(Entries() == 1);
  CHECK(LockTable::HeldCount() == 1);
  CHECK(!InChild([&] { return TryLocked(tag, Mode::kIS); }));
  Consistent();
  LockTable::ReleaseAll(kTx);
  CHECK(LockTable::Held(tag) == Mode::kNone);
  CHECK(Entries() == 0);
}

TEST_CASE("an upgrade that others stand in the way of is refused and changes nothing") {
  const LockTableWorld world;
  const LockTag tag = KeyTag(0, "k");
  REQUIRE(TryLocked(tag, Mode::kS));
  CHECK(InChild([&] {
    const bool refused = TryLocked(tag, Mode::kS) && !TryLocked(tag, Mode::kX);
    return refused && LockTable::Held(tag) == Mode::kS;
  }));
  CHECK(TryLocked(tag, Mode::kX));
}

TEST_CASE("a session lock needs as many unlocks as locks") {
  const LockTableWorld world;
  const LockTag tag = AdvisoryTag("name");
  CHECK(!LockTable::Unlock(tag));
  REQUIRE(TryLocked(tag, Mode::kS, kSession));
  REQUIRE(TryLocked(tag, Mode::kX, kSession));
  CHECK(LockTable::Unlock(tag));
  CHECK(LockTable::Held(tag) == Mode::kX);
  CHECK(LockTable::Unlock(tag));
  CHECK(LockTable::Held(tag) == Mode::kNone);
  CHECK(!LockTable::Unlock(tag));
  CHECK(Entries() == 0);
}

TEST_CASE("a lock held in both scopes is given back when both have let it go") {
  const LockTableWorld world;
  const LockTag tag = AdvisoryTag("name");
  REQUIRE(TryLocked(tag, Mode::kX, kSession));
  REQUIRE(TryLocked(tag, Mode::kS, kTx));
  CHECK(!LockTable::Unlock(AdvisoryTag("other")));
  CHECK(LockTable::Unlock(tag));
  // The transaction's part is weaker, and that is what is left.
  CHECK(LockTable::Held(tag) == Mode::kS);
  CHECK(InChild([&] { return TryLocked(tag, Mode::kS) && !TryLocked(tag, Mode::kX); }));
  Consistent();
  CHECK(!LockTable::Unlock(tag));
  LockTable::ReleaseAll(kSession);
  CHECK(LockTable::Held(tag) == Mode::kS);
  LockTable::ReleaseAll(kTx);
  CHECK(Entries() == 0);

  REQUIRE(TryLocked(tag, Mode::kS, kSession));
  REQUIRE(TryLocked(tag, Mode::kX, kTx));
  LockTable::ReleaseAll(kTx);
  CHECK(LockTable::Held(tag) == Mode::kS);
  LockTable::ReleaseAll(kSession);
  CHECK(Entries() == 0);
}

TEST_CASE("a full pool is an error for that request and for nothing else") {
  const LockTableWorld world(256);
  size_t held = 0;
  Result<bool> granted = true;
  for (; held < 10'000; ++held) {
    granted = LockTable::TryLock(KeyTag(0, fmt::format("k{}", held)), Mode::kX, kTx);
    if (!granted.ok()) break;
  }
  REQUIRE(!granted.ok());
  CHECK(granted.error().code == ErrorCode::kBusy);
  CHECK(held >= 256);
  CHECK(LockTable::HeldCount() == held);
  CHECK(Entries() == held);
  Consistent();
  const Status waited =
      LockTable::Lock(KeyTag(0, fmt::format("k{}", held)), Mode::kX, kTx, Patient());
  REQUIRE(!waited.ok());
  CHECK(waited.error().code == ErrorCode::kBusy);
  // Nothing was half taken.
  CHECK(TryLocked(KeyTag(0, "k0"), Mode::kX));
  LockTable::ReleaseAll(kTx);
  CHECK(Entries() == 0);
  CHECK(TryLocked(KeyTag(0, fmt::format("k{}", held)), Mode::kX));
}

TEST_CASE("locks asked for together are all held, each in the strongest mode, and all given back") {
  const LockTableWorld world;
  std::vector<std::string> names;
  for (int i = 0; i <= 250; ++i) names.push_back(fmt::format("k{}", i));
  const auto key = [&](size_t i) { return KeyTag(0, names[i]); };
  REQUIRE(TryLocked(key(1), Mode::kS, kTx));
  REQUIRE(TryLocked(key(2), Mode::kX, kSession));
  REQUIRE(TryLocked(AdvisoryTag("name"), Mode::kX, kSession));
  std::vector<WantedLock> wanted;
  for (size_t i = 0; i < 500; ++i) wanted.push_back({key(i % 250), i < 250 ? Mode::kS : Mode::kX});
  wanted.push_back({DatabaseTag(0), Mode::kIX});
  wanted.push_back({DatabaseTag(0), Mode::kIS});
  LockTableWorld::Require(LockTable::LockAll(wanted, kTx, Patient()));
  CHECK(LockTable::HeldCount() == 252);
  CHECK(Entries() == 252);
  for (size_t i = 0; i < 250; ++i) REQUIRE(LockTable::Held(key(i)) == Mode::kX);
  CHECK(LockTable::Held(DatabaseTag(0)) == Mode::kIX);
  CHECK(InChild([&] { return !TryLocked(key(249), Mode::kS) && TryLocked(key(250), Mode::kX); }));
  Consistent();
  LockTable::ReleaseAll(kTx);
  CHECK(LockTable::HeldCount() == 2);
  CHECK(Entries() == 2);
  CHECK(LockTable::Held(key(2)) == Mode::kX);
  CHECK(LockTable::Held(key(1)) == Mode::kNone);
  CHECK(InChild([&] { return TryLocked(key(1), Mode::kX); }));
  LockTable::ReleaseAll(kSession);
  CHECK(Entries() == 0);
}

TEST_CASE("of locks asked for together the one that can't be had ends the asking") {
  const LockTableWorld world(256);
  std::vector<WantedLock> wanted;
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back(fmt::format("k{}", i));
  for (const std::string& name : names) wanted.push_back({KeyTag(0, name), Mode::kX});
  std::ranges::sort(
      wanted, [](const WantedLock& a, const WantedLock& b) { return TagOrder(a.tag, b.tag); });
  REQUIRE(TryLocked(wanted[60].tag, Mode::kS));
  CHECK(InChild([&] {
    const Status status = LockTable::LockAll(wanted, kTx, ForAtMost(20));
    if (status.ok() || status.error().code != ErrorCode::kLockTimeout) return false;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if ((LockTable::Held(wanted[i].tag) == Mode::kX) != (i < 60)) return false;
    }
    LockTable::ReleaseAll(kTx);
    return LockTable::HeldCount() == 0;
  }));
  CHECK(Entries() == 1);
  Consistent();

  names.clear();
  wanted.clear();
  for (int i = 0; i < 1000; ++i) names.push_back(fmt::format("more{}", i));
  for (const std::string& name : names) wanted.push_back({KeyTag(0, name), Mode::kX});
  const Status full = LockTable::LockAll(wanted, kTx, Patient());
  REQUIRE(!full.ok());
  CHECK(full.error().code == ErrorCode::kBusy);
  CHECK(LockTable::HeldCount() == Entries());
  Consistent();
  LockTable::ReleaseAll(kTx);
  CHECK(Entries() == 0);
}

TEST_CASE("a hundred thousand locks are held and given back") {
  const LockTableWorld world(100'000);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 100'000; ++i) {
      REQUIRE(TryLocked(KeyTag(0, fmt::format("key:{}", i)), Mode::kX));
    }
    CHECK(Entries() == 100'000);
    CHECK(LockTable::Held(KeyTag(0, "key:77777")) == Mode::kX);
    LockTable::ReleaseAll(kTx);
    CHECK(Entries() == 0);
    CHECK(LockTable::HeldCount() == 0);
  }
}

TEST_CASE("single locks given back in any order leave the others findable") {
  const LockTableWorld world;
  uint64_t random = 1;
  std::vector<int> held;
  for (int step = 0; step < 20'000; ++step) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const auto pick = static_cast<size_t>(random >> 33);
    if (held.size() < 300 && (random >> 20 & 3) != 0) {
      const int name = static_cast<int>(pick % 1000);
      const LockTag tag = AdvisoryTag(std::to_string(name));
      const bool had = LockTable::Held(tag) == Mode::kX;
      if (had) continue;
      REQUIRE(TryLocked(AdvisoryTag(std::to_string(name)), Mode::kX, kSession));
      held.push_back(name);
    } else if (!held.empty()) {
      const size_t at = pick % held.size();
      REQUIRE(LockTable::Unlock(AdvisoryTag(std::to_string(held[at]))));
      held[at] = held.back();
      held.pop_back();
    }
    REQUIRE(LockTable::HeldCount() == held.size());
  }
  Consistent();
  for (const int name : held) CHECK(LockTable::Held(AdvisoryTag(std::to_string(name))) == Mode::kX);
  LockTable::ReleaseAll(kSession);
  CHECK(Entries() == 0);
}

TEST_CASE("a writer is kept out by anybody else's lock on the key or strong lock on the database") {
  const LockTableWorld world;
  const auto child_conflicts = [](std::string_view key) {
    return !InChild([&] { return !LockTable::WriteConflicts(0, key); });
  };
  CHECK(!LockTable::WriteConflicts(0, "k"));
  for (const Mode mode : {Mode::kS, Mode::kX}) {
    REQUIRE(TryLocked(KeyTag(0, "k"), mode));
    CHECK(!LockTable::WriteConflicts(0, "k"));  // one's own
    CHECK(child_conflicts("k"));
    CHECK(!child_conflicts("other"));
    LockTable::ReleaseAll(kTx);
    CHECK(!child_conflicts("k"));
  }
  for (const Mode mode : kModes) {
    REQUIRE(TryLocked(DatabaseTag(0), mode));
    CHECK(!LockTable::WriteConflicts(0, "k"));
    CHECK(child_conflicts("k") == (mode >= Mode::kS));
    CHECK(!InChild([&] { return LockTable::WriteConflicts(1, "k"); }));
    LockTable::ReleaseAll(kTx);
    CHECK(!child_conflicts("k"));
  }
  // A weak lock that becomes a strong one, and back.
  REQUIRE(TryLocked(DatabaseTag(0), Mode::kIX, kSession));
  REQUIRE(TryLocked(DatabaseTag(0), Mode::kX));
  CHECK(child_conflicts("k"));
  LockTable::ReleaseAll(kTx);
  CHECK(!child_conflicts("k"));
  Consistent();
}

TEST_CASE("a reader is kept out only by one who may write the key and is past the commit point") {
  const LockTableWorld world;
  const auto child_conflicts = [] {
    return !InChild([&] { return !LockTable::ReadConflicts(0, "k"); });
  };
  for (const LockTag& tag : {KeyTag(0, "k"), DatabaseTag(0)}) {
    for (const Mode mode : kModes) {
      REQUIRE(TryLocked(tag, mode));
      CHECK(!child_conflicts());
      ProcArray::Self().commit_lsn.store(4711);
      CHECK(child_conflicts() == (mode == Mode::kX));
      CHECK(!LockTable::ReadConflicts(0, "k"));
      ProcArray::Self().commit_lsn.store(0);
      LockTable::ReleaseAll(kTx);
    }
  }
}

TEST_CASE("a wait ends with LOCKTIMEOUT, with the client or with the process and leaves nothing") {
  const LockTableWorld world;
  const LockTag tag = KeyTag(0, "k");
  REQUIRE(TryLocked(tag, Mode::kX));
  CHECK(InChild([&] {
    const Status status = LockTable::Lock(tag, Mode::kS, kTx, ForAtMost(5));
    return !status.ok() && status.error().code == ErrorCode::kLockTimeout &&
           status.error().message == "waited 5 ms for key \"k\" of database 0" &&
           LockTable::HeldCount() == 0;
  }));
  CHECK(Stats::Read(StatId::kLockTimeouts) == 1);
  CHECK(InChild([&] {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return false;
    LockWait wait = Patient();
    wait.client_fd = ends[0];
    close(ends[1]);
    const Status status = LockTable::Lock(tag, Mode::kS, kTx, wait);
    return !status.ok() && status.error().code == ErrorCode::kShutdown;
  }));
  CHECK(InChild([&] {
    auto end = [] { return Status(MakeError(ErrorCode::kShutdown, "told to end")); };
    LockWait wait{.attend = end};
    const Status status = LockTable::Lock(tag, Mode::kS, kTx, wait);
    return !status.ok() && status.error().message == "told to end";
  }));
  CHECK(Stats::Read(StatId::kLockWaits) == 3);
  CHECK(Entries() == 1);
  Consistent();
}

TEST_CASE("a wait that fails leaves what was held before") {
  const LockTableWorld world;
  const LockTag tag = AdvisoryTag("name");
  REQUIRE(TryLocked(tag, Mode::kS));
  CHECK(InChild([&] {
    const bool shared = TryLocked(tag, Mode::kS, kSession);
    const Status status = LockTable::Lock(tag, Mode::kX, kTx, ForAtMost(3));
    return shared && !status.ok() && LockTable::Held(tag) == Mode::kS &&
           LockTable::CheckInvariants().ok() && LockTable::Unlock(tag);
  }));
  CHECK(TryLocked(tag, Mode::kX));
}

TEST_CASE("a snapshot names tag and modes and whom a waiter waits for") {
  const LockTableWorld world;
  const std::string long_name(300, 'n');
  REQUIRE(TryLocked(AdvisoryTag(long_name), Mode::kX, kSession));
  REQUIRE(LockTable::Renew(AdvisoryTag(long_name), 42, std::nullopt));
  CHECK(LockTable::Token(AdvisoryTag(long_name)) == 42);
  Child child([&] {
    LockTableWorld::BecomeChild(1);
    return TryLocked(DatabaseTag(3), Mode::kIS) &&
           LockTable::Lock(AdvisoryTag(long_name), Mode::kS, kTx, Patient()).ok();
  });
  REQUIRE(WaitUntilWaiting(1));
  size_t holders = 0;
  size_t waiters = 0;
  for (const LockTable::Info& info : LockTable::Snapshot()) {
    if (info.tag.kind == LockKind::kDatabase) {
      CHECK(info.tag.database == 3);
      CHECK(info.granted == Mode::kIS);
      CHECK(info.owner.slot == 1);
      continue;
    }
    CHECK(info.tag.kind == LockKind::kAdvisory);
    CHECK(info.name == std::string(kLockNameBytes, 'n'));
    CHECK(WallClockUs() - info.since_us < 60'000'000);
    if (info.owner.slot == 0) {
      ++holders;
      CHECK(info.granted == Mode::kX);
      CHECK(info.wanted == Mode::kNone);
      CHECK(info.token == 42);
      CHECK(info.blockers.empty());
    } else {
      ++waiters;
      CHECK(info.granted == Mode::kNone);
      CHECK(info.wanted == Mode::kS);
      CHECK(info.blockers == std::vector<Owner>{ProcArray::SelfOwner()});
    }
  }
  CHECK(holders == 1);
  CHECK(waiters == 1);
  // It is in the queue before it shows that it waits.
  CHECK(WaitFor([] {
    return Segment::Procs()[1].locks.wait_event.load() == static_cast<uint16_t>(WaitEvent::kLock);
  }));
  CHECK(LockTable::Unlock(AdvisoryTag(long_name)));
  CHECK(child.Succeeded());
  LockTableWorld::Bury(1);
  CHECK(Entries() == 0);
}

TEST_CASE("what a dead process held and awaited is dropped and may be dropped again") {
  const LockTableWorld world;
  REQUIRE(TryLocked(KeyTag(0, "mine"), Mode::kX));
  Child child([] {
    LockTableWorld::BecomeChild(1);
    for (int i = 0; i < 100; ++i) TryLocked(KeyTag(0, std::to_string(i)), Mode::kX);
    TryLocked(DatabaseTag(0), Mode::kS);
    return LockTable::Lock(KeyTag(0, "mine"), Mode::kS, kTx, Patient()).ok();
  });
  REQUIRE(WaitUntilWaiting(1));
  CHECK(LockTable::WriteConflicts(0, "7"));
  child.Kill();
  REQUIRE(child.WasKilled());
  Segment::Procs()[1].life.store(ProcLife::kDead);
  const Owner dead{1, Segment::Procs()[1].generation.load()};
  LockTable::DropOwner(dead);
  LockTable::DropOwner(dead);
  Segment::Procs()[1].life.store(ProcLife::kFree);
  CHECK(Entries() == 1);
  CHECK(!LockTable::WriteConflicts(0, "7"));
  Consistent();
}

TEST_CASE("a slot's next process has nothing of what the former held") {
  const LockTableWorld world;
  Child child([] {
    LockTableWorld::BecomeChild(1);
    return TryLocked(KeyTag(0, "k"), Mode::kX) && TryLocked(KeyTag(0, "l"), Mode::kX);
  });
  REQUIRE(child.Succeeded());
  // It ended without giving back, which is what the check says, and the slot is given out again.
  Segment::Procs()[1].life.store(ProcLife::kFree);
  const Owner former{1, Segment::Procs()[1].generation.load()};
  CHECK(!LockTable::CheckInvariants().ok());
  CHECK(InChild([&] {
    return !TryLocked(KeyTag(0, "k"), Mode::kS) && LockTable::WriteConflicts(0, "k") &&
           TryLocked(KeyTag(0, "new"), Mode::kX);
  }));
  LockTable::DropOwner(former);
  CHECK(Entries() == 0);
  Consistent();
}

TEST_CASE("an advisory grant whose time has come is taken away by whoever wants the lock") {
  const LockTableWorld world;
  const LockTag tag = AdvisoryTag("name");
  REQUIRE(TryLocked(tag, Mode::kX, kSession));
  REQUIRE(LockTable::Renew(tag, 7, std::nullopt));
  REQUIRE(LockTable::Renew(tag, LockTable::Token(tag), WallClockUs() + 3'600'000'000));
  CHECK(!InChild([&] { return TryLocked(tag, Mode::kX); }));
  CHECK(LockTable::Held(tag) == Mode::kX);
  REQUIRE(LockTable::Renew(tag, LockTable::Token(tag), WallClockUs() - 1));
  CHECK(LockTable::Held(tag) == Mode::kX);  // nobody has wanted it yet
  CHECK(LockTable::Token(tag) == 7);
  CHECK(InChild([&] { return TryLocked(tag, Mode::kX); }));
  CHECK(LockTable::Held(tag) == Mode::kNone);
  CHECK(LockTable::Token(tag) == 0);
  CHECK(!LockTable::Unlock(tag));
  CHECK(LockTable::HeldCount() == 0);
  CHECK(Entries() == 0);
}

TEST_CASE("a former holder does not give back what its entry has become since") {
  const LockTableWorld world(256);
  const LockTag tag = AdvisoryTag("name");
  REQUIRE(TryLocked(tag, Mode::kX, kSession));
  REQUIRE(LockTable::Renew(tag, LockTable::Token(tag), 1));
  Child child([&] {
    LockTableWorld::BecomeChild(1);
    if (!TryLocked(tag, Mode::kX)) return false;
    kill(getpid(), SIGSTOP);
    return true;
  });
  // The entry that was taken away is the next one to be used in its partition.
  REQUIRE(WaitFor([] {
    const auto all = LockTable::Snapshot();
    return all.size() == 1 && all[0].owner.slot == 1;
  }));
  CHECK(!LockTable::Unlock(tag));
  LockTable::ReleaseAll(kSession);
  CHECK(Entries() == 1);
  CHECK_FALSE(LockTable::Renew(tag, 9, 1));
  CHECK(LockTable::Snapshot()[0].token == 0);
  child.Kill();
  REQUIRE(child.WasKilled());
  LockTableWorld::Bury(1);
}

TEST_CASE(
    "an entry that was taken away and has become another lock of the same process is not mixed "
    "up") {
  const LockTableWorld world(256);
  const LockTag expired = AdvisoryTag("expired");
  REQUIRE(TryLocked(expired, Mode::kX, kSession));
  REQUIRE(LockTable::Renew(expired, LockTable::Token(expired), 1));
  CHECK(InChild([&] { return TryLocked(expired, Mode::kX); }));
  // One of these gets the entry, which is the first free one of its partition.
  for (int i = 0; i < 100; ++i) {
    REQUIRE(TryLocked(AdvisoryTag(std::to_string(i)), Mode::kX, kSession));
  }
  CHECK(LockTable::Held(expired) == Mode::kNone);
  CHECK(!LockTable::Unlock(expired));
  CHECK_FALSE(LockTable::Renew(expired, 9, 1));
  CHECK(Entries() == 100);
  for (int i = 0; i < 100; ++i) CHECK(LockTable::Unlock(AdvisoryTag(std::to_string(i))));
}

TEST_CASE("one's own expired grant stays one's own until somebody wants it") {
  const LockTableWorld world;
  const LockTag tag = AdvisoryTag("name");
  REQUIRE(TryLocked(tag, Mode::kS, kSession));
  REQUIRE(LockTable::Renew(tag, LockTable::Token(tag), 1));
  REQUIRE(TryLocked(tag, Mode::kX, kSession));  // stronger: it does not expire any more
  CHECK(!InChild([&] { return TryLocked(tag, Mode::kS); }));
  CHECK(LockTable::Unlock(tag));
  CHECK(LockTable::Unlock(tag));
}

TEST_CASE("tags are ordered with databases first and names with the same bytes are the same lock") {
  CHECK(TagOrder(DatabaseTag(5), KeyTag(0, "a")));
  CHECK(!TagOrder(KeyTag(0, "a"), DatabaseTag(5)));
  CHECK(TagOrder(KeyTag(9, "a"), AdvisoryTag("a")));
  CHECK(KeyTag(0, "a") == KeyTag(0, std::string("a")));
  CHECK(!(KeyTag(0, "a") == KeyTag(1, "a")));
  CHECK(!TagOrder(KeyTag(0, "a"), KeyTag(0, "a")));
}

}  // namespace warren::test
