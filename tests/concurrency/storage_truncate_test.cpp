// Does the store hold while its file is cut under everybody's hands?
#include <doctest/doctest.h>

#include <map>
#include <random>

#include "base/fault_point.h"
#include "shmem/buffer_cache.h"
#include "storage/reclaim.h"
#include "storage/truncate.h"
#include "storage/wal.h"
#include "tests/support/actors.h"
#include "tests/support/shared_region.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

constexpr int kWriters = 4;
constexpr SlotIndex kCutterSlot = 7;

bool Expect(bool condition, std::string_view what) {
  if (!condition)
    std::fprintf(stderr, "failed: %.*s\n", static_cast<int>(what.size()), what.data());
  return condition;
}

void CheckStore() {
  const Status checked = Store::Check();
  CHECK_MESSAGE(checked.ok(), (checked.ok() ? "" : checked.error().message));
  CHECK(BufferCache::CheckInvariants().ok());
}

void Collect() {
  while (CollectGarbage(10'000) > 0) {
  }
}

// Fills a range and a database of its own and empties them, again and again; what it has put it
// finds.
bool GrowAndShrink(int writer, int rounds) {
  std::mt19937 random(static_cast<uint32_t>(writer));
  const auto own_database = static_cast<uint32_t>(writer % 2 + 1);
  const auto key_of = [&](uint32_t i) { return fmt::format("k{:04}:{}", i, writer); };
  for (int round = 0; round < rounds; ++round) {
    const auto count = static_cast<uint32_t>(20 + random() % 100);
    for (uint32_t i = 0; i < count; ++i) {
      const size_t bytes = i % 8 == 0 ? 30'000 + random() % 60'000 : 200;
      Put(key_of(i), std::string(bytes, static_cast<char>('a' + writer)));
      Put(key_of(i), std::string(200, 'd'), own_database);
    }
    uint64_t cursor = 0;
    for (int step = 0; step < 4; ++step) {
      const auto next = Store::ScanStep(own_database, cursor, 10, 1, [](std::string_view) {});
      if (!Expect(next.ok(), "a cursor is no error")) return false;
      cursor = *next;
    }
    if (round % 5 == 0) MustSucceed(Store::Flush(own_database));
    for (uint32_t i = 0; i < count; ++i) {
      const auto value = Get(key_of(i));
      if (!Expect(value.has_value() && value->front() == 'a' + writer, "the value is there"))
        return false;
      if (!Expect(Erase(key_of(i)), "and can be erased")) return false;
    }
  }
  return true;
}

bool CutUntil(const std::atomic<int>& done) {
  PageNo cut = 0;
  while (done.load() < kWriters) {
    (void)CollectGarbage(2000);
    const Result<PageNo> here = CutFreeEnd(EndSlack::kNone);
    if (!here.ok() && here.error().code != ErrorCode::kBusy) MustSucceed(here.error());
    if (here.ok()) cut += *here;
  }
  return Expect(cut > 0, "something was cut");
}

bool CheckpointUntil(const std::atomic<int>& done) {
  while (done.load() < kWriters) {
    const auto summary = DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0);
    if (!summary.ok()) MustSucceed(summary.error());
  }
  return true;
}

Status KillAt(FaultPoint, void*) {
  kill(getpid(), SIGKILL);
  return {};
}

}  // namespace

TEST_CASE("a file that is cut under writers, scans, FLUSH and checkpoints stays whole") {
  const auto test = [](ActorForm form) {
    StoreWorld world(200);
    Put("always", "there");
    SharedRegion region(4096);
    auto* done = region.Allocate<std::atomic<int>>(1);
    CHECK(RunActors(form, kWriters + 2, [&](int actor) {
      const auto slot = static_cast<SlotIndex>(actor + 1);
      StoreWorld::BecomeProcess(slot);
      bool good = false;
      if (actor < kWriters) {
        good = GrowAndShrink(actor, FullForm() ? 150 : 25);
        done->fetch_add(1);
      } else {
        good = actor == kWriters ? CutUntil(*done) : CheckpointUntil(*done);
      }
      const bool nothing_held = HeldLockCount() == 0 && ProcArray::Self().op_start.load() == 0;
      StoreWorld::LeaveProcess(slot);
      return good && nothing_held;
    }));
    CheckStore();
    MustSucceed(Wal::FlushAll());
    const auto before = ReadDatabase(0);
    CHECK(before == std::map<std::string, std::string>{{"always", "there"}});
    const auto others = ReadDatabase(1);
    // Once more from the log.
    world.Stop();
    world.Start();
    CHECK(ReadDatabase(0) == before);
    CHECK(ReadDatabase(1) == others);
    CheckStore();
  };
  SUBCASE("as threads") { test(ActorForm::kThreads); }
  SUBCASE("as processes") { test(ActorForm::kProcesses); }
}

TEST_CASE("a process killed at any step of a cut leaves a file that recovery makes whole") {
  StoreWorld world;
  std::map<std::string, std::string> model;
  const auto put = [&](const std::string& key, size_t bytes) {
    Put(key, model[key] = std::string(bytes, 'v'));
  };
  int round = 0;
  for (const FaultPoint point : {FaultPoint::kCutLogged, FaultPoint::kCutDrop, FaultPoint::kCutFile,
                                 FaultPoint::kCutSync, FaultPoint::kCutDone}) {
    for (const bool checkpoint_before : {false, true}) {
      CAPTURE(FaultPointName(point));
      put(fmt::format("stays {}", round++), 3000);
      Put("goes", std::string(4'000'000, 'g'));
      if (checkpoint_before)
        MustSucceed(DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0).ok()
                        ? Status()
                        : Status(MakeError(ErrorCode::kIo, "no checkpoint")));
      REQUIRE(Erase("goes"));
      Collect();
      // From the next step on the log is durable, because of the cut.
      if (point == FaultPoint::kCutLogged) MustSucceed(Wal::FlushAll());
      Child cutter([&] {
        StoreWorld::BecomeProcess(kCutterSlot);
        SetFaultAction(point, KillAt);
        (void)CutFreeEnd(EndSlack::kNone);
        return false;
      });
      REQUIRE(cutter.WasKilled());
      // Everything is stopped, as after any death that held a lock; recovery may die there, too.
      world.Stop();
      Child recoverer([&] {
        SetFaultAction(FaultPoint::kCutFile, KillAt);
        world.Start();
        return true;
      });
      const int ended = recoverer.Wait();
      CHECK((WIFEXITED(ended) || WIFSIGNALED(ended)));
      world.Start();
      CHECK(ReadDatabase(0) == model);
      CheckStore();
      MustSucceed(BufferCache::WriteAll());
      CHECK(world.PagesOnDisk() == DataFile::Get().page_count());
      Collect();
      CHECK(CutFreeEnd(EndSlack::kNone).ok());
      CHECK(DataFile::Get().page_count() < 100);
      // The file grows over what was cut, and is the same again after another crash.
      put("over it", 1'000'000);
      MustSucceed(Wal::FlushAll());
      world.Stop();
      world.Start();
      CHECK(ReadDatabase(0) == model);
      CheckStore();
      REQUIRE(Erase("over it"));
      model.erase("over it");
    }
  }
}

TEST_CASE("no checkpoint begins between the record of a cut and the end of its sync") {
  StoreWorld world(1000);
  SharedRegion region(4096);
  auto* at_cut = region.Allocate<std::atomic<int>>(1);
  auto* go_on = region.Allocate<std::atomic<int>>(1);
  struct Context {
    std::atomic<int>* at_cut;
    std::atomic<int>* go_on;
  } context{at_cut, go_on};
  for (const FaultPoint point :
       {FaultPoint::kCutLogged, FaultPoint::kCutDrop, FaultPoint::kCutFile, FaultPoint::kCutSync}) {
    CAPTURE(FaultPointName(point));
    at_cut->store(0);
    go_on->store(0);
    Put("goes", std::string(2'000'000, 'g'));
    REQUIRE(Erase("goes"));
    Collect();
    Child cutter([&] {
      StoreWorld::BecomeProcess(kCutterSlot);
      SetFaultAction(
          point,
          [](FaultPoint, void* of) {
            static_cast<Context*>(of)->at_cut->store(1);
            WaitFor([&] { return static_cast<Context*>(of)->go_on->load() == 1; });
            return Status();
          },
          &context);
      const bool cut = CutFreeEnd(EndSlack::kNone).value() > 0;
      StoreWorld::LeaveProcess(kCutterSlot);
      return cut;
    });
    REQUIRE(WaitFor([&] { return at_cut->load() == 1; }));
    const Lsn cut_record = Wal::InsertPosition();
    Child checkpointer([&] {
      StoreWorld::BecomeProcess(kCutterSlot + 1);
      const bool done = DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0).ok();
      StoreWorld::LeaveProcess(kCutterSlot + 1);
      return done;
    });
    CHECK(checkpointer.WaitUntilAsleep());
    CHECK(Segment::Wal().checkpoint_start.load() < cut_record);
    // Nor does any write of a page beyond the end come after the cut.
    if (point != FaultPoint::kCutLogged) MustSucceed(BufferCache::WriteAll());
    go_on->store(1);
    CHECK(cutter.Succeeded());
    CHECK(checkpointer.Succeeded());
    CHECK(Segment::Wal().checkpoint_start.load() >= cut_record);
    CHECK(world.PagesOnDisk() == DataFile::Get().page_count());
  }
}

}  // namespace warren::test
