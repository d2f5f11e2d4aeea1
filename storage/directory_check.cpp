#include "storage/directory_check.h"

#include <sys/stat.h>

#include <map>

#include "shmem/buffer_cache.h"
#include "storage/data_directory.h"
#include "storage/log_tail.h"
#include "storage/lsn_text.h"
#include "storage/map_page.h"
#include "storage/page_overlay.h"
#include "storage/wal_format.h"

namespace warren {
namespace {

bool Exists(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0;
}

// An error that says what is wrong with the directory, not that nobody can tell.
bool IsFault(const Error& error) { return error.code == ErrorCode::kCorrupt; }

std::string DescribeLog(Lsn lsn) {
  return fmt::format("write-ahead log segment {} at {}", WalSegmentName(SegmentOf(lsn)),
                     FormatLsn(lsn));
}

class DirectoryChecker {
 public:
  explicit DirectoryChecker(std::string directory) : directory_(std::move(directory)) {}

  Result<DirectoryReport> Run() {
    RETURN_IF_ERROR(CheckControlFile());
    RETURN_IF_ERROR(CheckPages());
    if (report_.control.has_value() && file_open_) RETURN_IF_ERROR(CheckRecovered());
    return std::move(report_);
  }

 private:
  // Takes what is wrong into the report; passes on what only keeps us from looking.
  Status Note(Error error) {
    if (!IsFault(error)) return error;
    report_.faults.Add(std::move(error.message));
    return {};
  }

  Status CheckControlFile() {
    const std::string path = ControlPath(directory_);
    if (!Exists(path)) {
      report_.faults.Add(fmt::format("control file \"{}\": it is missing", path));
      return {};
    }
    Result<ControlData> control = ReadControl(directory_);
    if (!control.ok()) return Note(std::move(control).error());
    Status state = DataDirectory::CheckControl(directory_, *control);
    if (!state.ok()) return Note(std::move(state).error());
    report_.control = *control;
    return {};
  }

  // Each page by itself, as it stands in the file.
  Status CheckPages() {
    const std::string path = DataDirectory::DataFilePath(directory_);
    if (!Exists(path)) {
      report_.faults.Add(fmt::format("data file \"{}\": it is missing", path));
      return {};
    }
    DataFile& file = DataFile::Get();
    RETURN_IF_ERROR(file.OpenReadOnly(path, directory_));
    file_open_ = true;
    report_.page_count = file.page_count();
    alignas(8) std::byte page[kPageBytes];
    for (PageNo page_no = 0; page_no < report_.page_count; ++page_no) {
      Status read = file.ReadPage(page_no, page);
      if (!read.ok()) {
        damaged_.emplace(page_no, std::move(read).error());
      } else if (HeaderOf(page).lsn > newest_.lsn) {
        newest_ = {HeaderOf(page).lsn, page_no};
      }
    }
    if (!report_.control.has_value()) {
      for (const auto& [page_no, error] : damaged_) report_.faults.AddUnreadable(page_no, error);
      return {};
    }
    Status header = damaged_.contains(0) ? Status()
                                         : DataDirectory::CheckFileHeader(
                                               directory_, file, report_.control->system_id);
    return header.ok() ? Status() : Note(std::move(header).error());
  }

  // The store as the next start would leave it.
  Status CheckRecovered() {
    PageOverlay pages;
    RETURN_IF_ERROR(pages.Open(DataFile::Get()));
    DataDirectory::OpenReadOnly(directory_, *report_.control, pages);
    Result<RedoSummary> redo = DataDirectory::RedoFromCheckpoint();
    if (!redo.ok()) {
      for (const auto& [page_no, error] : damaged_) report_.faults.AddUnreadable(page_no, error);
      return Note(std::move(redo).error());
    }
    report_.redo = *redo;
    if (!redo->unfinished.empty()) {
      report_.notes.push_back(
          fmt::format("{} commits were logged and not finished; the next start does that",
                      redo->unfinished.size()));
    }
    RETURN_IF_ERROR(CheckLogEnd(*redo));
    RETURN_IF_ERROR(CheckDamagedPages());
    StoreChecker checker;
    RETURN_IF_ERROR(checker.Run(report_.faults, [] { return true; }));
    report_.totals = checker.totals();
    report_.store_checked = true;
    return {};
  }

  Status CheckLogEnd(const RedoSummary& redo) {
    ASSIGN_OR_RETURN(const LogTail end, JudgeLogTail(redo.end, redo.start_count));
    const std::string behind = fmt::format(
        "{}: {}, although a valid record follows at {} (offset {})", DescribeLog(redo.end),
        redo.end_reason, FormatLsn(end.next_record), SegmentOffset(redo.end));
    if (end.kind == LogTail::kDamaged) report_.faults.Add(behind);
    if (end.kind == LogTail::kDoubtful) {
      report_.notes.push_back(behind +
                              ": bytes that were not synced yet when the power failed, or damage");
    }
    // A page is written only when the log is durable up to its LSN.
    if (newest_.lsn > redo.end) {
      report_.faults.Add(
          fmt::format("{}: the log ends there ({}), but page {} has a change that "
                      "ended at {} (offset {})",
                      DescribeLog(redo.end), redo.end_reason, newest_.page_no,
                      FormatLsn(newest_.lsn), SegmentOffset(redo.end)));
    }
    if (redo.start_count > report_.control->start_count) {
      report_.faults.Add(fmt::format("{}: records of start {}, the control file knows of {} starts",
                                     DescribeLog(redo.end), redo.start_count,
                                     report_.control->start_count));
    }
    return {};
  }

  Status CheckDamagedPages() {
    for (const auto& [page_no, error] : damaged_) {
      const Result<SharedPage> page = BufferCache::GetShared(page_no);
      if (page.ok()) {
        ++report_.rebuilt_pages;
      } else if (report_.control->state == DirectoryState::kInUse && IsFree(page_no)) {
        report_.notes.push_back(error.message + "; it is free");
      } else {
        report_.faults.AddUnreadable(page_no, error);
      }
    }
    return {};
  }

  static bool IsFree(PageNo page_no) {
    if (IsFixedPage(page_no)) return false;
    const Result<SharedPage> map = BufferCache::GetShared(MapPageOf(page_no));
    return map.ok() && GetPageState(map->As<MapPage>(), page_no) == PageState::kFree;
  }

  const std::string directory_;
  DirectoryReport report_;
  bool file_open_ = false;
  std::map<PageNo, Error> damaged_;
  struct {
    Lsn lsn = 0;
    PageNo page_no = kNoPage;
  } newest_;
};

}  // namespace

Result<DirectoryReport> CheckDirectory(const std::string& directory) {
  Result<DirectoryReport> report = DirectoryChecker(directory).Run();
  DataFile::Get().Close();
  return report;
}

}  // namespace warren
