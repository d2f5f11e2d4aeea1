// What a dead process has left to others to finish: is it finished, whoever comes next?
//
// A cut of the data file whose record is in the log, a sync of the data file that had something to
// report, a commit that can't be finished at once, a free page that it was about to take or has
// zeroed, files under temporary names.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "shmem/buffer_io.h"
#include "shmem/buffer_mapping.h"
#include "storage/commit.h"
#include "storage/control_file.h"
#include "storage/reclaim.h"
#include "storage/storage_failure.h"
#include "storage/tree.h"
#include "storage/truncate.h"
#include "tests/crash/storage_repair_world.h"
#include "tests/support/fault_fs.h"

namespace warren::test {
namespace {

using State = History::State;

constexpr FaultPoint kCutPoints[] = {
    FaultPoint::kChangeDirty, FaultPoint::kChangeArm,    FaultPoint::kChangeLog,
    FaultPoint::kLogCopy,     FaultPoint::kLogPlan,      FaultPoint::kLogPublish,
    FaultPoint::kChangeCount, FaultPoint::kChangeDisarm, FaultPoint::kChangeDone,
    FaultPoint::kCutLogged,   FaultPoint::kCutDrop,      FaultPoint::kCutFile,
    FaultPoint::kCutSync,     FaultPoint::kCutDone};
constexpr FaultPoint kFinishPoints[] = {FaultPoint::kCutDrop, FaultPoint::kCutFile,
                                        FaultPoint::kCutSync, FaultPoint::kCutDone};
constexpr FaultPoint kRepairSteps[] = {FaultPoint::kRepairVerdict, FaultPoint::kRepairChange,
                                       FaultPoint::kRepairDisarm, FaultPoint::kRepairLocks,
                                       FaultPoint::kRepairWake};

Status KillSelf(FaultPoint, void*) {
  kill(getpid(), SIGKILL);
  return {};
}

Status Checkpoint() {
  const auto done = DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0);
  return done.ok() ? Status() : Status(done.error());
}

void Cut() { (void)CutFreeEnd(EndSlack::kNone); }
void Grow() { MustSucceed(DataFile::Get().GrowBeyond(DataFile::Get().page_count())); }
void CommitTwo() {
  const CommitOp ops[] = {
      {.kind = CommitOp::kPut, .database = 1, .key = "one", .value = "of a commit"},
      {.kind = CommitOp::kPut, .database = 1, .key = "two", .value = "of a commit"}};
  MustSucceed(CommitChanges(ops, 1));
}

// Everybody who changes the file's length or begins a checkpoint.
struct Successor {
  const char* name;
  void (*work)();
};
constexpr Successor kSuccessors[] = {{"growth", Grow},
                                     {"a checkpoint", [] { MustSucceed(Checkpoint()); }},
                                     {"another cut", Cut},
                                     {"a commit's reserve", CommitTwo}};

// Of all combinations the short form takes those in which each point and each successor occurs.
bool IsTurn(int round) {
  constexpr int kCount = static_cast<int>(std::size(kSuccessors));
  return FullForm() || round / kCount % kCount == round % kCount;
}

// Runs `body` in the victim's slot until it dies at the point; its slot is dead then.
void DieAt(FaultPoint point, const std::function<void()>& body) {
  Child victim([&] {
    StoreWorld::BecomeProcess(kVictimSlot);
    SetFaultAction(point, KillSelf);
    body();
    return false;
  });
  REQUIRE(victim.WasKilled());
  Segment::Procs()[kVictimSlot].life = ProcLife::kDead;
}

// As the process monitor does; each step before has killed one who tried.
void RepairVictim() {
  for (const FaultPoint point : kRepairSteps) {
    Child repairer([&] {
      SetFaultAction(point, KillSelf);
      (void)RepairDead(kVictimSlot);
      return true;
    });
    (void)repairer.Wait();
  }
  REQUIRE_FALSE(WhyNotRepairable(kVictimSlot).has_value());
  (void)RepairDead(kVictimSlot);
  CHECK(FindLeftovers(kVictimSlot) == "");
  MustSucceed(FinishCommit({kVictimSlot, Segment::Procs()[kVictimSlot].generation.load()}));
  Segment::Procs()[kVictimSlot].life = ProcLife::kFree;
}

// A file with a long free end, and what has to stay.
class CutWorld {
 public:
  CutWorld() {
    Put("stays", model_["stays"] = std::string(3000, 's'));
    MakeFreeEnd();
    while (CollectGarbage(1000) > 0) {
    }
  }

  // The file follows once more, and redo finds the same.
  void CheckAll() {
    Put("over it", model_["over it"] = std::string(1'000'000, 'o'));
    MustSucceed(Checkpoint());
    CHECK(Segment::Wal().data_file_cut == FileCut::kNone);
    CHECK(FindFaults() == "");
    CHECK(world_.PagesOnDisk() == Segment::Wal().data_file_allocated);
    CHECK(ReadDatabase() == model_);
    MustSucceed(Wal::FlushAll());
    const PageNo pages = DataFile::Get().page_count();
    world_.Stop();
    world_.Start();
    CHECK(DataFile::Get().page_count() >= pages);
    CHECK(ReadDatabase() == model_);
    CHECK(FindFaults() == "");
  }

 private:
  static void MakeFreeEnd() {
    Put("goes", std::string(4'000'000, 'g'));
    MustSucceed(BufferCache::WriteAll());
    REQUIRE(Erase("goes"));
  }

  StoreWorld world_;
  State model_;
};

// What the kernel has to say about a write that was lost: to each open description once.
struct LostWrite {
  std::atomic<int> lost;
  std::atomic<int> die;  // so many of those who are told die before they can pass it on
  std::array<std::atomic<int>, 1024> told;
};

FileVerdict TellOnce(LostWrite& write, const FileEvent& event) {
  if (event.call != FileCall::kSync || !event.path.ends_with("base/main")) return {};
  const bool news =
      write.lost.load() != 0 && write.told.at(static_cast<size_t>(event.fd)).exchange(1) == 0;
  if (write.die.load() > 0) {
    write.die.fetch_sub(1);
    kill(getpid(), SIGKILL);
  }
  return news ? FileVerdict{.error = EIO} : FileVerdict{};
}

// As the checkpointer, a process of its own each time. Does the checkpoint succeed? A death is no
// success.
bool CheckpointInChild() {
  Child checkpointer([] {
    StoreWorld::BecomeProcess(kVictimSlot);
    const bool ok = Checkpoint().ok();
    StoreWorld::LeaveProcess(kVictimSlot);
    return ok;
  });
  const int status = checkpointer.Wait();
  if (WIFSIGNALED(status)) {
    (void)RepairDead(kVictimSlot);
    Segment::Procs()[kVictimSlot].life = ProcLife::kFree;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

}  // namespace

TEST_CASE("a death at any step of a cut of the data file is repaired in place") {
  int followed = 0, round = 0;
  for (const FaultPoint point : kCutPoints) {
    for (const Successor& successor : kSuccessors) {
      if (!IsTurn(round++)) continue;
      INFO(std::string(FaultPointName(point)), ", then ", std::string(successor.name));
      CutWorld world;
      const PageNo before = DataFile::Get().page_count();
      DieAt(point, Cut);
      RepairVictim();
      // The record is in the log and the end has moved, or neither.
      const bool logged = Segment::Wal().data_file_cut == FileCut::kLogged;
      CHECK((DataFile::Get().page_count() < before) == logged);
      CHECK(Segment::Wal().data_file_cut != FileCut::kPlanned);
      followed += logged ? 1 : 0;
      successor.work();
      CHECK(Segment::Wal().data_file_cut == FileCut::kNone);
      world.CheckAll();
    }
  }
  CHECK(followed >= 6);
}

TEST_CASE("a death of who makes the file follow a dead one's cut leaves that to the next") {
  int round = 0;
  for (const FaultPoint point : kFinishPoints) {
    for (const Successor& successor : kSuccessors) {
      if (!IsTurn(round++)) continue;
      INFO(std::string(FaultPointName(point)), ", ", std::string(successor.name));
      CutWorld world;
      DieAt(FaultPoint::kCutLogged, Cut);
      RepairVictim();
      REQUIRE(Segment::Wal().data_file_cut == FileCut::kLogged);
      DieAt(point, successor.work);
      RepairVictim();
      CHECK(Segment::Wal().data_file_cut == FileCut::kLogged);
      world.CheckAll();
    }
  }
}

TEST_CASE("what a sync of the data file would have reported is not lost with who asked") {
  StoreWorld world;
  SharedRegion region(8192);
  auto& write = *region.Allocate<LostWrite>(1);
  const WatchedFiles watched(world.path(),
                             [&](const FileEvent& event) { return TellOnce(write, event); });
  Put("key", "value");
  // Deaths that had nothing to report cost nothing, as long as one comes through now and then.
  for (int round = 0; round < 3; ++round) {
    write.die = static_cast<int>(DataFile::kMaxSyncTries) - 1;
    for (size_t i = 0; i + 1 < DataFile::kMaxSyncTries; ++i) CHECK_FALSE(CheckpointInChild());
    CHECK(CheckpointInChild());
  }
  write.lost = 1;
  write.die = 1;
  CHECK_FALSE(CheckpointInChild());
  CHECK_FALSE(StorageHasFailed());
  CHECK_FALSE(CheckpointInChild());
  CHECK(StorageHasFailed());
}

TEST_CASE("after too many deaths in syncs of the data file nothing is believed durable") {
  StoreWorld world;
  SharedRegion region(8192);
  auto& write = *region.Allocate<LostWrite>(1);
  const WatchedFiles watched(world.path(),
                             [&](const FileEvent& event) { return TellOnce(write, event); });
  Put("key", "value");
  write.lost = 1;
  write.die = static_cast<int>(DataFile::kMaxSyncTries);
  for (size_t i = 0; i < DataFile::kMaxSyncTries; ++i) CHECK_FALSE(CheckpointInChild());
  CHECK_FALSE(StorageHasFailed());
  CHECK_FALSE(CheckpointInChild());
  CHECK(StorageHasFailed());
}

TEST_CASE("a dead one's commit that cannot be finished yet keeps what it has reserved") {
  StoreWorld world;
  DieAt(FaultPoint::kCommitChange, CommitTwo);
  (void)RepairDead(kVictimSlot);
  const Owner dead{kVictimSlot, Segment::Procs()[kVictimSlot].generation.load()};
  const SlotReserve& reserve = Segment::Reserves()[kVictimSlot];
  const auto refuse = [](FaultPoint, void*) {
    return Status(MakeError(ErrorCode::kIo, "the disk says no"));
  };
  SetFaultAction(FaultPoint::kCommitEnd, refuse);
  CHECK_FALSE(FinishCommit(dead).ok());
  CHECK_FALSE(FinishCommit(dead).ok());
  ClearFaultActions();
  CHECK(reserve.pages.load() > 0);
  CHECK(reserve.log_bytes.load() > 0);
  MustSucceed(FinishCommit(dead));
  CHECK(reserve.pages.load() == 0);
  CHECK(reserve.log_bytes.load() == 0);
  CHECK(Segment::Wal().reserved_bytes.load() == 0);
  CHECK(Get("two", 1) == "of a commit");
}

TEST_CASE("a free page that a dead process was about to take is not taken for what it was before") {
  const StoreWorld world;
  CommitTwo();
  MustSucceed(BufferCache::WriteAll());
  // From here on the root is free, which only memory knows, and this process remembers it as root:
  // so it may not look before the other has died.
  const CommitOp emptying{.kind = CommitOp::kEmptyDatabase, .database = 1};
  MustSucceed(CommitChanges({&emptying, 1}, 1));
  DieAt(FaultPoint::kBufferZero, CommitTwo);
  RepairVictim();
  // As a process that remembers nothing.
  ForgetRoots();
  CHECK(ReadDatabase(1) == State{{"one", "of a commit"}, {"two", "of a commit"}});
  CHECK(Store::KeyCount(1) == 2);
  CHECK(FindFaults() == "");
}

TEST_CASE("a free page that a dead process has zeroed reaches the file behind what freed it") {
  const State both = {{"one", "of a commit"}, {"two", "of a commit"}};
  StoreWorld world;
  CommitTwo();
  MustSucceed(Checkpoint());
  const Result<CatalogEntry> entry = ReadCatalogEntry(1);
  REQUIRE(entry.ok());
  const CommitOp emptying{.kind = CommitOp::kEmptyDatabase, .database = 1};
  MustSucceed(CommitChanges({&emptying, 1}, 1));
  DieAt(FaultPoint::kChangeArm, [] { Put("another", "value", 1); });
  RepairVictim();
  REQUIRE(Wal::FlushPosition() < Wal::InsertPosition());
  {
    const Result<SharedPage> page = BufferCache::GetShared(entry->root);
    REQUIRE(page.ok());
    REQUIRE(page->As<PageHeader>().type == PageType::kNone);
    MustSucceed(WriteOut(FindBuffer(entry->root), StatId::kBufferWritesBackground));
  }
  // All of memory is lost, and what of the log was there alone.
  world.Stop();
  world.Start();
  REQUIRE(FindFaults() == "");
  const State found = ReadDatabase(1);
  CHECK((found.empty() || found == both));
}

TEST_CASE("a commit that runs out of memory behind its commit point is finished by the repair") {
  const StoreWorld world;
  Child victim([] {
    StoreWorld::BecomeProcess(kVictimSlot);
    SetFaultAction(FaultPoint::kCommitEnd,
                   [](FaultPoint, void*) -> Status { throw std::bad_alloc(); });
    try {
      CommitTwo();
    } catch (const std::bad_alloc&) {
    }
    return true;
  });
  CHECK(WIFSIGNALED(victim.Wait()));
  Segment::Procs()[kVictimSlot].life = ProcLife::kDead;
  RepairVictim();
  CHECK(ReadDatabase(1) == State{{"one", "of a commit"}, {"two", "of a commit"}});
  CHECK(ReadCommitStamp(1).settled());
  CHECK(FindFaults() == "");
}

TEST_CASE("files that a death has left under temporary names go with the next of their kind") {
  StoreWorld world;
  const std::string control = ControlPath(world.path());
  const std::string segment = world.path() + "/wal/new.segment";
  const auto leave = [](const std::string& path) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(ftruncate(fd, 1000) == 0);
    close(fd);
  };
  leave(control + ".tmp.1");
  leave(control + ".tmp.31999");
  Put("key", "value");
  MustSucceed(Checkpoint());
  for (const std::string& name : NamesIn(world.path()))
    CHECK(name.find(".tmp.") == std::string::npos);
  leave(segment);
  MustSucceed(Wal::PrepareNextSegment());
  CHECK(access(segment.c_str(), F_OK) != 0);
  leave(segment);
  world.Restart();
  CHECK(access(segment.c_str(), F_OK) != 0);
  CHECK(Get("key") == "value");
}

}  // namespace warren::test
