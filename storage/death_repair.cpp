#include "storage/death_repair.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/fault_point.h"
#include "base/ordered_store.h"
#include "base/seeded_bug.h"
#include "lwlock/repair.h"
#include "shmem/buffer_cache.h"
#include "shmem/segment.h"
#include "storage/database_counts.h"
#include "storage/mini_transaction.h"
#include "storage/wal.h"

namespace warren {
namespace {

LockProc& LocksOf(SlotIndex slot) { return Segment::Procs()[slot].locks; }

bool HoldsLocks(const LockProc& locks) {
  return locks.pending_lock.load() != nullptr ||
         std::ranges::any_of(locks.held, [](const auto& held) { return held.load() != 0; });
}

const RecordHeader& RecordOf(const MiniTransactionArea& area) {
  return RecordView(area.record.data()).header();
}

// Its commit's begin and end, if they are not in the log after all.
void JudgeCommit(Proc& proc, Lsn insert) noexcept {
  if (WARREN_SEEDED_BUG(commit_not_judged)) return;
  if (proc.commit_end.load() > insert) StoreAfter(proc.commit_end, Lsn{0});
  // It is the begin of a record: that one ends behind it.
  if (proc.commit_lsn.load() >= insert) StoreAfter(proc.commit_lsn, Lsn{0});
}

// begun = ended + those under way: it may have counted its commit for some databases and not for
// others, or counted one that is not in the log.
void RecountCommits() noexcept {
  if (WARREN_SEEDED_BUG(commits_not_recounted)) return;
  std::array<uint32_t, kMaxDatabases> under_way{};
  for (const Proc& proc : Segment::Procs().slots()) {
    if (proc.commit_lsn.load() == 0 || proc.commit_end.load() == 0) continue;
    for (uint32_t database = 0; database < kMaxDatabases; ++database) {
      const uint64_t word = proc.commit_databases[database / 64].load();
      if ((word >> (database % 64) & 1) != 0) ++under_way[database];
    }
  }
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    DatabaseCounts& counts = Segment::Database(database);
    counts.commits_begun.store(counts.commits_ended.load() + under_way[database]);
  }
}

// The sum is derived from what the slots say: it may have changed one and not the other.
void RecountReserves() noexcept {
  if (WARREN_SEEDED_BUG(reserves_not_recounted)) return;
  uint64_t bytes = 0;
  for (const SlotReserve& reserve : Segment::Reserves()) bytes += reserve.log_bytes.load();
  Segment::Wal().reserved_bytes.store(bytes);
}

// What was computed and published under the insert lock that the dead process of `slot` still owns.
void JudgeRecord(SlotIndex slot) noexcept {
  if (WARREN_SEEDED_BUG(no_verdict)) return;
  WalState& wal = Segment::Wal();
  MiniTransactionArea& area = MiniTransactionAreaOf(slot);
  if (area.armed.load() != 0) {
    const Lsn end = area.end.load();
    if (end > wal.insert.load()) {
      // Planned, not published. Later the next record would make it look published.
      StoreAfter(area.end, Lsn{0});
    } else if (end != 0 && !WARREN_SEEDED_BUG(counts_not_stored)) {
      StoreCounts(RecordOf(area));
    }
  }
  JudgeCommit(Segment::Procs()[slot], wal.insert.load());
  RecountCommits();
  RecountReserves();
  // It may have said that it marks the time, and not done so: whoever comes next does.
  StoreAfter(wal.time_marked_us, int64_t{0});
}

void RepairInsertLock(LWLock& lock) noexcept { JudgeRecord(OwnerSlot(lock)); }

// Nothing: a file that was grown and is not counted so yet is grown again, the begin of a
// checkpoint is a record like any other, and a cut is judged before (JudgeCut).
void RepairDataFileLock(LWLock&) noexcept {}

// Is the record of the cut that the dead process of `slot` had planned in the log?
bool CutIsLogged(SlotIndex slot) noexcept {
  const MiniTransactionArea& area = MiniTransactionAreaOf(slot);
  return RecordView(area.record.data()).header().type == RecordType::kCutFile &&
         area.end.load() > Segment::Wal().data_file_cut_after.load();
}

// While the dead one owns the data file lock and, as long as the end has not moved, the map page:
// from the record on nobody may allocate beyond the new end. The rest waits for log and disk, and
// is made by whoever has the data file lock next (FinishCut).
void JudgeCut(SlotIndex slot) noexcept {
  if (WARREN_SEEDED_BUG(cut_not_judged)) return;
  WalState& wal = Segment::Wal();
  if (wal.data_file_cut.load() != FileCut::kPlanned) return;
  if (!CutIsLogged(slot)) return StoreAfter(wal.data_file_cut, FileCut::kNone);
  wal.data_file_pages.store(wal.data_file_cut_to.load());
  StoreAfter(wal.data_file_cut, FileCut::kLogged);
}

std::byte* PageOfDead(SlotIndex slot, const MiniTransactionArea::Page& page) {
  return BufferCache::HeldByDead(slot, page.buffer, page.ref.page_no);
}

// Is a change that is under way what Commit can have left?
std::optional<std::string> FindFault(SlotIndex slot, const MiniTransactionArea& area) {
  if (area.page_count > kMaxRecordPages || RecordOf(area).bytes > kMaxRecordBytes ||
      RecordOf(area).page_count != area.page_count) {
    return "its change is not one that can be";
  }
  for (size_t i = 0; i < area.page_count; ++i) {
    if (PageOfDead(slot, area.pages[i]) != nullptr) continue;
    return fmt::format("it was changing page {}, which it did not hold", area.pages[i].ref.page_no);
  }
  return std::nullopt;
}

ChangeRepair RepairChange(SlotIndex slot) noexcept {
  MiniTransactionArea& area = MiniTransactionAreaOf(slot);
  if (area.armed.load() == 0 || WARREN_SEEDED_BUG(change_left_as_it_is)) return ChangeRepair::kNone;
  const ChangeRepair done =
      area.end.load() != 0 ? ChangeRepair::kFinished : ChangeRepair::kTakenBack;
  RepairArmedArea(area, [&](BufferIndex buffer) {
    const auto page = std::ranges::find(area.pages, buffer, &MiniTransactionArea::Page::buffer);
    return PageOfDead(slot, *page);
  });
  return done;
}

}  // namespace

std::optional<std::string> WhyNotRepairable(SlotIndex slot) {
  if (const LWLock* lock = FindUnrepairable(LocksOf(slot), slot); lock != nullptr) {
    return fmt::format("lwlock {} {} has no repair", GetTranche(lock->tranche).name,
                       lock->instance);
  }
  const MiniTransactionArea& area = MiniTransactionAreaOf(slot);
  if (area.armed.load() == 0) return std::nullopt;
  return FindFault(slot, area);
}

DeathRepair RepairDead(SlotIndex slot) noexcept {
  LockProc& locks = LocksOf(slot);
  DeathRepair done;
  done.held_locks = HoldsLocks(locks);
  FAULT_POINT(kRepairVerdict);
  if (DiedInside(locks, Segment::WalInsertLock(), slot) &&
      !WARREN_SEEDED_BUG(verdict_after_change)) {
    JudgeRecord(slot);
  }
  if (DiedInside(locks, Segment::DataFileLock(), slot)) JudgeCut(slot);
  FAULT_POINT(kRepairChange);
  done.change = RepairChange(slot);
  FAULT_POINT(kRepairLocks);
  CHECK(ReleaseLocksOfDead(Segment::Locks(), locks, slot), "slot {} is not repairable", slot);
  FAULT_POINT(kRepairWake);
  // It may have been the one that was woken to flush the log for the others.
  if (!WARREN_SEEDED_BUG(flushers_not_woken)) Wal::OnProcessDeath();
  return done;
}

void RegisterStorageRepairs() {
  BufferCache::RegisterRepairs();
  RegisterWalRepairs();
  RegisterRepair(TrancheId::kWalInsert, RepairInsertLock);
  RegisterRepair(TrancheId::kDataFile, RepairDataFileLock);
}

}  // namespace warren
