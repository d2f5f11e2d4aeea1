#include "storage/truncate.h"

#include <algorithm>
#include <cerrno>

#include "base/fault_point.h"
#include "base/ordered_store.h"
#include "shmem/buffer_cache.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/commit_reserve.h"
#include "storage/data_file.h"
#include "storage/map_page.h"
#include "storage/mini_transaction.h"
#include "storage/storage_failure.h"
#include "storage/wal.h"

namespace warren {
namespace {

// Where the use of the file ends that ends before `end` now. A hint: looks at one map page at a
// time.
Result<PageNo> FindEndOfUse(PageNo end) {
  for (uint32_t group = MapGroupOf(end - 1);; --group) {
    const PageNo map_page_no = MapPageOfGroup(group);
    ASSIGN_OR_RETURN(const SharedPage map, BufferCache::GetShared(map_page_no));
    const PageNo used = EndOfUse(map.As<MapPage>(), map_page_no, end);
    if (group == 0 || used != map_page_no - 1) return used;
  }
}

// Where the file should end; `end` if that is not worth a cut.
Result<PageNo> WantedEnd(PageNo end, EndSlack slack) {
  ASSIGN_OR_RETURN(const PageNo used, FindEndOfUse(end));
  const PageNo keep = slack == EndSlack::kOneChunk ? DataFile::ChunkAt(used) : 0;
  const PageNo least = std::max(keep, PageNo{1});
  return used + keep + least <= end ? used + keep : end;
}

// Behind the record: nothing of this may be left undone.
Status CarryOut() {
  const PageNo end = DataFile::Get().page_count();
  RETURN_IF_ERROR(Wal::FlushAll());
  RETURN_IF_FAULT(kCutDrop);
  BufferCache::DropFrom(end);
  return DataFile::Get().CutToEnd();
}

// Before the record: a death behind it can be told from one before it.
void PlanCut(PageNo cut_to) {
  WalState& state = Segment::Wal();
  state.data_file_cut_to.store(cut_to, std::memory_order_relaxed);
  state.data_file_cut_after.store(Wal::InsertPosition(), std::memory_order_relaxed);
  StoreBetween(state.data_file_cut, FileCut::kPlanned);
}

// Cuts what lies behind `wanted` and in the last page's group; 0 if it is in use by now.
Result<PageNo> CutLastGroup(PageNo wanted) {
  DataFile& file = DataFile::Get();
  const ExclusiveLock lock(Segment::DataFileLock());
  RETURN_IF_ERROR(FinishCut());
  std::atomic<FileCut>& cut_under_way = Segment::Wal().data_file_cut;
  const PageNo end = file.page_count();
  // What is kept for commits lies behind the end, and would go with it.
  if (end <= wanted || ReservedPages() != 0) return PageNo{0};
  const PageNo map_page_no = MapPageOf(end - 1);
  const PageNo cut_to = std::max(wanted, map_page_no - 1);
  {
    ASSIGN_OR_RETURN(ExclusivePage map, BufferCache::GetExclusive(map_page_no));
    if (EndOfUse(map.As<MapPage>(), map_page_no, end) > cut_to) return PageNo{0};
    MiniTransaction change(RecordType::kCutFile, 0, 0);
    const CutFilePayload payload{.page_count = cut_to, .reserved = 0};
    change.AddPayload(payload);
    PlanCut(cut_to);
    if (Status logged = change.Commit(); !logged.ok()) {
      StoreAfter(cut_under_way, FileCut::kNone);
      return std::move(logged).error();
    }
    FAULT_POINT(kCutLogged);
    // With the map page still held: who gets it next allocates below the new end only.
    file.MoveEndTo(cut_to);
    StoreBetween(cut_under_way, FileCut::kLogged);
  }
  RETURN_IF_ERROR(FinishCut());
  Stats::Add(StatId::kPagesCutOff, end - cut_to);
  return end - cut_to;
}

}  // namespace

Status FinishCut() {
  std::atomic<FileCut>& cut = Segment::Wal().data_file_cut;
  if (cut.load() != FileCut::kLogged) return {};
  Status done = CarryOut();
  if (done.ok()) {
    StoreAfter(cut, FileCut::kNone);
  } else {
    DeclareDataFileFailed(EIO);
  }
  return done;
}

Result<PageNo> FreeEndPages(EndSlack slack) {
  const PageNo end = DataFile::Get().page_count();
  ASSIGN_OR_RETURN(const PageNo wanted, WantedEnd(end, slack));
  return end - wanted;
}

Result<PageNo> CutFreeEnd(EndSlack slack) {
  PageNo cut = 0;
  if (Segment::Wal().data_file_cut.load() == FileCut::kLogged) {
    const ExclusiveLock lock(Segment::DataFileLock());
    RETURN_IF_ERROR(FinishCut());
  }
  const PageNo end = DataFile::Get().page_count();
  ASSIGN_OR_RETURN(const PageNo wanted, WantedEnd(end, slack));
  if (wanted == end) return cut;
  for (;;) {
    ASSIGN_OR_RETURN(const PageNo here, CutLastGroup(wanted));
    if (here == 0) return cut;
    cut += here;
  }
}

}  // namespace warren
