#include "tests/crash/sweep_operations.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "base/fault_point.h"
#include "shmem/buffer_cache.h"
#include "shmem/lock_table.h"
#include "shmem/segment.h"
#include "storage/commit.h"
#include "storage/data_directory.h"
#include "storage/data_file.h"
#include "storage/expiry.h"
#include "storage/fencing.h"
#include "storage/overflow.h"
#include "storage/reclaim.h"
#include "storage/truncate.h"
#include "storage/wal.h"
#include "tests/crash/sweep_another.h"
#include "tests/crash/sweep_point.h"
#include "tests/crash/sweep_processes.h"
#include "tests/support/lock_table_world.h"
#include "tests/support/store_world.h"

namespace warren::test {
namespace {

template <typename T>
T Must(const Result<T>& result) {
  if (!result.ok()) MustSucceed(result.error());
  return *result;
}

Operation Repair(std::string name, FaultPoint point, int passes, std::function<void()> body) {
  return {.name = "repair of a death: " + std::move(name),
          .set_up =
              [=] {
                Fill(6);
                LetDieAt(kOtherSlot, point, passes, body);
              },
          .run = [] { RepairSlot(kOtherSlot); },
          .effect = Effect::kNone};
}

// -- The lists, by the part that does most of it.

std::vector<Operation> CacheOperations() {
  const auto far_more_than_fits = [] {
    Fill(120);
    MustSucceed(BufferCache::WriteAll());
  };
  return {
      {.name = "cache: pages are read in, clean ones go",
       .set_up = far_more_than_fits,
       .run =
           [] {
             for (int i = 0; i < 40; i += 10) (void)Get(KeyNo(i));
           },
       .effect = Effect::kNone,
       .buffers = 24},
      {.name = "cache: changed pages go to the file first",
       .set_up = [] { Fill(120); },
       .run =
           [] {
             for (int i = 0; i < 100; i += 12) Put(KeyNo(i), "short");
           },
       .effect = Effect::kEachKey,
       .buffers = 24},
      {.name = "cache: the background writer's round",
       .set_up = [] { Fill(60); },
       .run =
           [] {
             if (Must(BufferCache::WriteAhead(24, 6)) == 0) std::abort();
           },
       .effect = Effect::kNone,
       .buffers = 24},
  };
}

std::vector<Operation> LogOperations() {
  return {
      {.name = "log: a flush of several changes",
       .set_up = [] { Fill(12); },
       .run = [] { MustSucceed(Wal::FlushAll()); },
       .effect = Effect::kNone},
      {.name = "log: the next segment is made ahead of need",
       .set_up = [] { Put("a", "1"); },
       .run = [] { MustSucceed(Wal::PrepareNextSegment()); },
       .effect = Effect::kNone},
      {.name = "log: more than the ring holds",
       .set_up = [] { Put("a", "1"); },
       .run =
           [] {
             for (int i = 0; i < 285; ++i) Put(KeyNo(i), Filled(kHalfLeaf, 'r'));
           },
       .effect = Effect::kEachKey},
      {.name = "log: a block of fencing tokens",
       .run = [] { Must(NextFencingToken()); },
       .effect = Effect::kNone},
      {.name = "checkpoint",
       .set_up = [] { Fill(40); },
       .run = [] { Must(DataDirectory::Checkpoint([](uint32_t, uint32_t) {}, 0)); },
       .effect = Effect::kNone},
  };
}

std::vector<Operation> TreeOperations() {
  return {
      {.name = "tree: leaves and inner nodes split, the root grows",
       .set_up = [] { Put("a", "1"); },
       .run =
           [] {
             // Keys so long that an inner node has room for four.
             for (int i = 0; i < 40; ++i) {
               Put(fmt::format("{:03}{}", i * 37 % 100, Filled(1500, 'k')), "v");
             }
           },
       .effect = Effect::kEachKey},
      {.name = "tree: leaves empty and go, with their parents",
       .set_up =
           [] {
             for (int i = 0; i < 40; ++i) Put(fmt::format("{:03}{}", i, Filled(1500, 'k')), "v");
           },
       .run =
           [] {
             for (int i = 0; i < 40; ++i) (void)Erase(fmt::format("{:03}{}", i, Filled(1500, 'k')));
           },
       .effect = Effect::kEachKey},
      {.name = "tree: a commit of several records",
       .set_up = [] { Fill(10); },
       .run =
           [] {
             std::vector<CommitOp> ops;
             std::vector<std::string> keys;
             const std::string value = Filled(kHalfLeaf, 'n');
             for (int i = 5; i < 75; ++i) keys.push_back(KeyNo(i));
             for (const std::string& key : keys) {
               ops.push_back({.kind = CommitOp::kPut, .key = key, .value = value});
             }
             MustSucceed(CommitChanges(ops, 1));
           }},
      {.name = "tree: puts into several leaves at once",
       .set_up =
           [] {
             Fill(40);
             for (int i = 0; i < 40; ++i) (void)Get(KeyNo(i));  // finds the hints
           },
       .run =
           [] {
             const std::string moves = Filled(kHalfLeaf, 'm');
             const std::array keys = {KeyNo(1), KeyNo(11), KeyNo(21), KeyNo(31)};
             const std::array<KeyPut, 4> puts = {
                 {{keys[0], "short"}, {keys[1], moves, 9'000'000}, {keys[2], ""}, {keys[3], "x"}}};
             if (Store::PutAtOnce(0, puts, 1) != puts.size()) std::abort();
           }},
      {.name = "file: it grows for a large value",
       .run = [] { Put("large", Filled(900'000, 'g')); }},
  };
}

std::vector<Operation> VacuumOperations() {
  const auto sweep_expired = [] {
    ExpirySweep sweep(0);
    while (Must(sweep.NextLeaf(1'000'000))) {
    }
  };
  return {
      {.name = "vacuum: expired keys go, and the leaves that they leave empty",
       .set_up =
           [] {
             for (int i = 0; i < 16; ++i) Put(KeyNo(i), Filled(kHalfLeaf, 'e'), 0, 5000 * (i % 8));
           },
       .run = sweep_expired,
       .effect = Effect::kEachKey},
      {.name = "vacuum: the chain of somebody who died while building it",
       .set_up =
           [] {
             Fill(4);
             LetDieAt(kOtherSlot, FaultPoint::kChangeDone, 3,
                      [] { Put("large", Filled(200'000, 'l')); });
             RepairSlot(kOtherSlot);
           },
       .run = [] { (void)CollectGarbage(1000); },
       .effect = Effect::kNone},
      {.name = "vacuum: the file's free end is cut off",
       .set_up =
           [] {
             Put("large", Filled(1'500'000, 'g'));
             Put("a", "1");
             (void)Erase("large");
             (void)CollectGarbage(100'000);
           },
       .run =
           [] {
             if (Must(CutFreeEnd(EndSlack::kNone)) == 0) std::abort();
           },
       .effect = Effect::kNone},
  };
}

std::vector<Operation> LockOperations() {
  static const LockTag name = AdvisoryTag("name"), other = AdvisoryTag("other");
  const auto take = [] { (void)TryLocked(name, TxLockMode::kX); };
  return {
      {.name = "locks: a wait that is given up",
       .set_up = take,
       .run =
           [] {
             (void)LockTable::Lock(name, TxLockMode::kX, LockScope::kTransaction, ForAtMost(5));
             LockTable::ReleaseAll(LockScope::kTransaction);
           },
       .effect = Effect::kNone},
      {.name = "locks: one that another waits for is let go",
       .prepare =
           [take] {
             take();
             WaitForLock(name);
           },
       .run = [] { LockTable::ReleaseAll(LockScope::kTransaction); },
       .effect = Effect::kNone},
      {.name = "locks: a wait behind a waiter, and a search for deadlocks",
       .set_up = take,
       .prepare =
           [] {
             (void)TryLocked(other, TxLockMode::kX);
             StopAnotherIn(
                 [] {
                   (void)TryLocked(KeyTag(0, "k"), TxLockMode::kX);
                   (void)LockTable::Lock(other, TxLockMode::kX, LockScope::kTransaction, Patient());
                 },
                 [] { return WaitingCount(kOtherSlot) == 1; });
           },
       .run =
           [] {
             LockWait wait = ForAtMost(40);
             wait.deadlock_timeout_ms = 5;
             (void)LockTable::Lock(KeyTag(0, "k"), TxLockMode::kX, LockScope::kTransaction, wait);
             LockTable::ReleaseAll(LockScope::kTransaction);
           },
       .effect = Effect::kNone},
      {.name = "locks: many of a transaction, in several modes",
       .run =
           [] {
             LockTable::BeginTransaction();
             (void)TryLocked(DatabaseTag(0), TxLockMode::kIX);
             for (int i = 0; i < 12; ++i) (void)TryLocked(KeyTag(0, KeyNo(i)), TxLockMode::kS);
             for (int i = 0; i < 6; ++i) (void)TryLocked(KeyTag(0, KeyNo(i)), TxLockMode::kX);
             (void)TryLocked(DatabaseTag(1), TxLockMode::kX);
             LockTable::ReleaseAll(LockScope::kTransaction);
           },
       .effect = Effect::kNone},
  };
}

// The process monitor dies while it repairs somebody else.
std::vector<Operation> RepairOperations() {
  const auto put = [] { Put(KeyNo(2), Filled(1000, 'p')); };
  const auto split = [] {
    for (int i = 0; i < 20; ++i) Put(KeyNo(100 + i), Filled(kHalfLeaf, 's'));
  };
  return {
      Repair("the record not published", FaultPoint::kLogPublish, 0, put),
      Repair("the record published", FaultPoint::kChangeCount, 0, put),
      Repair("some pages of a split changed", FaultPoint::kChangeApply, 9, split),
      Repair("a lock of the table half made", FaultPoint::kLockLink, 0, CommitSeveral),
      Repair("a commit half made", FaultPoint::kCommitChange, 1, CommitSeveral),
      Repair("a commit not ended", FaultPoint::kCommitEnd, 0, CommitSeveral),
      Repair("the log written, not synced", FaultPoint::kLogSync, 0,
             [] {
               Put("a", "2");
               MustSucceed(Wal::FlushAll());
             }),
  };
}

}  // namespace

std::vector<Operation> InnerOperations() {
  std::vector<Operation> all;
  for (const auto& part : {CacheOperations(), LogOperations(), TreeOperations(), VacuumOperations(),
                           LockOperations(), RepairOperations(), ProcessOperations()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace warren::test
