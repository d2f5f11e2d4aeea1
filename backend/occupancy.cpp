#include "backend/occupancy.h"

#include <algorithm>

#include "shmem/buffer_cache.h"
#include "shmem/lock_table.h"
#include "shmem/segment.h"
#include "storage/commit_reserve.h"
#include "storage/data_file.h"
#include "storage/map_page.h"
#include "storage/mini_transaction.h"

namespace warren {
namespace {

template <typename Predicate>
uint64_t CountSlots(Predicate predicate) {
  return static_cast<uint64_t>(std::ranges::count_if(Segment::Procs().slots(), predicate));
}

uint64_t LocksOf(const Proc& proc) {
  const auto held =
      std::ranges::count_if(proc.locks.held, [](const auto& entry) { return entry.load() != 0; });
  return static_cast<uint64_t>(held) + (proc.locks.pending_lock.load() != nullptr ? 1 : 0);
}

uint64_t CountLocks() {
  uint64_t sum = 0;
  for (const Proc& proc : Segment::Procs().slots()) sum += LocksOf(proc);
  return sum;
}

uint64_t CountArmed() {
  uint64_t sum = 0;
  for (SlotIndex slot = 0; slot < Segment::Procs().size(); ++slot) {
    sum += MiniTransactionAreaOf(slot).armed.load() != 0 ? 1 : 0;
  }
  return sum;
}

uint64_t ReservedLogBytes() {
  uint64_t sum = 0;
  for (const SlotReserve& reserve : Segment::Reserves()) sum += reserve.log_bytes.load();
  return sum;
}

Result<PageUse> CountPages() {
  PageUse sum;
  const PageNo end = DataFile::Get().page_count();
  for (uint32_t group = 0; group * kPagesPerMap + 1 < end; ++group) {
    const PageNo map_page_no = MapPageOfGroup(group);
    ASSIGN_OR_RETURN(const SharedPage map, BufferCache::GetShared(map_page_no));
    const PageUse use = CountUse(map.As<MapPage>(), map_page_no, end);
    sum.used += use.used;
    sum.garbage += use.garbage;
  }
  return sum;
}

}  // namespace

Result<std::vector<Occupancy>> CountOccupancy() {
  const WalState& wal = Segment::Wal();
  ASSIGN_OR_RETURN(const PageUse pages, CountPages());
  return std::vector<Occupancy>{
      {"process_slots", CountSlots([](const Proc& p) { return p.life != ProcLife::kFree; })},
      {"dead_slots", CountSlots([](const Proc& p) { return p.life == ProcLife::kDead; })},
      {"lwlocks", CountLocks()},
      {"armed_changes", CountArmed()},
      {"operations", CountSlots([](const Proc& p) { return p.op_start.load() != 0; })},
      {"commits", CountSlots([](const Proc& p) { return p.commit_lsn.load() != 0; })},
      {"lock_entries", LockTable::EntryCount()},
      {"reserved_pages", ReservedPages()},
      {"reserved_log_bytes", ReservedLogBytes()},
      {"reserved_log_bytes_in_sum", wal.reserved_bytes.load()},
      {"pages_in_use", pages.used},
      {"garbage_pages", pages.garbage},
      {"data_file_pages", DataFile::Get().page_count()},
      {"data_file_pages_on_disk", wal.data_file_allocated.load()},
      {"data_file_cuts", wal.data_file_cut.load() != FileCut::kNone ? 1u : 0u},
  };
}

}  // namespace warren
