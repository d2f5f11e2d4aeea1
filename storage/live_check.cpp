#include "storage/live_check.h"

#include <poll.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "shmem/segment.h"
#include "storage/data_file.h"
#include "storage/live_log_check.h"
#include "storage/live_tree_check.h"
#include "storage/map_page.h"
#include "storage/segment_check.h"
#include "storage/store_check.h"
#include "storage/wal.h"

namespace warren {
namespace {

constexpr PageNo kPagesPerRead = 32;
constexpr int kReadAttempts = 20;
constexpr int kRetryMs = 2;
constexpr int kRestTries = 2;

// -- Pages as they lie in the file.

class FileChecker {
 public:
  FileChecker(LiveReport& report, FunctionRef<bool()> keep_going)
      : report_(report), keep_going_(keep_going) {}

  Status Run() {
    for (PageNo page_no = 0;;) {
      if (!keep_going_()) return CheckStopped();
      const std::span<std::byte> bytes(buffer_.get(), kPagesPerRead * kPageBytes);
      ASSIGN_OR_RETURN(const PageNo count, DataFile::Get().ReadUnchecked(page_no, bytes));
      for (PageNo i = 0; i < count; ++i) {
        if (!IsWhole(page_no + i, bytes.subspan(size_t{i} * kPageBytes, kPageBytes))) {
          RETURN_IF_ERROR(LookAgain(page_no + i));
        }
      }
      report_.pages += count;
      page_no += count;
      if (count < kPagesPerRead) return {};
    }
  }

 private:
  // Takes the checksum out of `page`.
  bool IsWhole(PageNo page_no, std::span<std::byte> page) {
    const Status verified = VerifyPage(page_no, PageBytes(page));
    if (!verified.ok()) {
      error_ = verified.error();
      return false;
    }
    const Lsn lsn = HeaderOf(page.data()).lsn;
    if (lsn > Wal::FlushPosition()) {  // written before the log was
      report_.faults.AddPage(page_no, offsetof(PageHeader, lsn),
                             fmt::format("its LSN {:#x} lies behind the log's durable end", lsn));
    }
    return true;
  }

  // True if the page is whole, or is not in the file any more.
  Result<bool> ReadWhole(PageNo page_no) {
    alignas(8) std::byte page[kPageBytes];
    ASSIGN_OR_RETURN(const PageNo count, DataFile::Get().ReadUnchecked(page_no, page));
    return count == 0 || page_no >= DataFile::Get().page_count() || IsWhole(page_no, page);
  }

  // Somebody may just have been writing it.
  Status LookAgain(PageNo page_no) {
    for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
      poll(nullptr, 0, kRetryMs);
      ASSIGN_OR_RETURN(const bool whole, ReadWhole(page_no));
      if (whole) return {};
    }
    bool cached = false;
    {
      Result<ExclusivePage> page = BufferCache::GetExclusive(page_no);
      if (!page.ok() && page.error().code == ErrorCode::kBusy) return std::move(page).error();
      cached = page.ok();
      // With its buffer locked nobody writes it, and a dirty one will be written over what is
      // there.
      if (cached && page->dirty()) return {};
      ASSIGN_OR_RETURN(const bool whole, ReadWhole(page_no));
      if (whole) return {};
    }
    if (IsFree(page_no)) {
      report_.notes.push_back(error_.message + "; it is free");
    } else {
      report_.faults.AddUnreadable(page_no, error_);
    }
    return {};
  }

  static bool IsFree(PageNo page_no) {
    if (IsFixedPage(page_no)) return false;
    const Result<SharedPage> map = BufferCache::GetShared(MapPageOf(page_no));
    return map.ok() && GetPageState(map->As<MapPage>(), page_no) == PageState::kFree;
  }

  LiveReport& report_;
  FunctionRef<bool()> keep_going_;
  std::unique_ptr<std::byte[]> buffer_ =
      std::make_unique<std::byte[]>(size_t{kPagesPerRead} * kPageBytes);
  Error error_;
};

// -- The whole store, when nobody changes it.

// True if it was at rest to the end: then the report has what was found.
Result<bool> CheckAtRest(LiveReport& report, FunctionRef<bool()> keep_going) {
  const Lsn insert = Wal::InsertPosition();
  FaultList faults;
  StoreChecker checker;
  bool stopped = false;
  const Status status = checker.Run(faults, [&] {
    stopped = !keep_going();
    return !stopped && Wal::InsertPosition() == insert;
  });
  if (stopped) return CheckStopped().error();
  if (!status.ok() && status.error().code != ErrorCode::kShutdown) return status.error();
  // What is published was changed with its pages locked, and they were waited for.
  if (!status.ok() || Wal::InsertPosition() != insert) return false;
  for (const std::string& line : faults.lines()) report.faults.Add(line);
  report.keys = checker.totals().keys;
  return true;
}

}  // namespace

Result<LiveReport> CheckRunningStore(FunctionRef<bool()> keep_going) {
  LiveReport report;
  RETURN_IF_ERROR(FileChecker(report, keep_going).Run());
  for (int tries = 0; tries < kRestTries && !report.complete; ++tries) {
    ASSIGN_OR_RETURN(report.complete, CheckAtRest(report, keep_going));
  }
  if (!report.complete) {
    RETURN_IF_ERROR(CheckRunningTrees(report, keep_going));
    RETURN_IF_ERROR(CheckRunningMap(report, keep_going));
  }
  RETURN_IF_ERROR(CheckRunningLog(report, keep_going));
  CheckSegment(&report.faults);
  return report;
}

}  // namespace warren
