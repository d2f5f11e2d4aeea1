#include "storage/redo.h"

#include <unordered_set>

#include "base/clock.h"
#include "base/log.h"
#include "shmem/buffer_cache.h"
#include "storage/checkpoint.h"
#include "storage/data_file.h"
#include "storage/database_counts.h"
#include "storage/page_images.h"
#include "storage/record.h"
#include "storage/wal_reader.h"

namespace warren {
namespace {

constexpr int64_t kProgressEveryNs = 5'000'000'000;

Error RecordError(const WalRecord& record, std::string_view what) {
  return MakeError(ErrorCode::kCorrupt, "write-ahead log: record at {:#x}: {}", record.begin, what);
}

class Redoer {
 public:
  Status Apply(const WalRecord& record) {
    switch (record.header.type) {
      case kPageChange:
        return ApplyPageChange(record);
      case kCheckpoint:
        return LoadCheckpointCounts(record.head);
      case kTimeMark:
        return {};
      default:
        return RecordError(record, fmt::format("no type {}", record.header.type));
    }
  }

  uint64_t unreadable_pages() const { return unreadable_.size(); }

 private:
  Status ApplyPageChange(const WalRecord& record) {
    const RecordView view(record.head.data());
    if (record.head.size() < sizeof(RecordHeader) || view.header().bytes != record.head.size() ||
        view.header().page_count > kMaxRecordPages) {
      return RecordError(record, "not a page change");
    }
    ASSIGN_OR_RETURN(const FoundImages images, ReadImages(record.header.flags, record.tail));
    for (size_t i = 0; i < view.pages().size(); ++i) {
      RETURN_IF_ERROR(ApplyToPage(view, view.pages()[i], images[i], record.end));
    }
    // A flag cleared when the record was made means that the count belongs to another incarnation.
    if (view.header().database < Segment::Config().database_count) StoreCounts(view.header());
    return {};
  }

  // Nothing that the page's bytes were before matters if the record initialises it or brings its
  // image. Else it is there as the record's predecessor left it, or newer.
  Status ApplyToPage(RecordView view, const PageRef& ref, std::span<const std::byte> image,
                     Lsn lsn) {
    DataFile& file = DataFile::Get();
    if (ref.page_no >= file.page_count()) RETURN_IF_ERROR(file.GrowTo(ref.page_no + 1));
    if (ref.role == PageRole::kNewPage || !image.empty()) {
      ASSIGN_OR_RETURN(ExclusivePage page, BufferCache::GetNew(ref.page_no));
      if (!image.empty()) InstallImage(image, page.bytes());
      ApplyRecord(view, ref, page.bytes(), lsn);
      unreadable_.erase(ref.page_no);
      return {};
    }
    if (unreadable_.contains(ref.page_no)) return {};
    Result<ExclusivePage> page = BufferCache::GetExclusive(ref.page_no);
    if (!page.ok()) return NoteUnreadable(ref.page_no, std::move(page).error());
    if (HeaderOf(page->bytes()).lsn >= lsn) return {};
    page->MarkDirty();
    ApplyRecord(view, ref, page->bytes(), lsn);
    return {};
  }

  Status NoteUnreadable(PageNo page_no, Error error) {
    if (error.code != ErrorCode::kCorrupt) return error;
    // It was damaged after it had reached the disk whole. Everything else can go on.
    log::Error("redo: {}", error.message);
    unreadable_.insert(page_no);
    return {};
  }

  std::unordered_set<PageNo> unreadable_;
};

}  // namespace

Result<RedoSummary> Redo(Lsn begin) {
  RedoSummary summary{.begin = begin, .end = begin};
  WalReader reader(begin);
  Redoer redoer;
  const int64_t began_ns = MonotonicNs();
  int64_t next_progress_ns = began_ns + kProgressEveryNs;
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<WalRecord> record, reader.Next());
    if (!record.has_value()) break;
    RETURN_IF_ERROR(redoer.Apply(*record));
    ++summary.records;
    if (summary.records % 4096 != 0 || MonotonicNs() < next_progress_ns) continue;
    next_progress_ns += kProgressEveryNs;
    log::Notice("redo: at {:#x}, {} MB and {} records done", record->end,
                (record->end - begin) >> 20, summary.records);
  }
  summary.end = reader.position();
  summary.unreadable_pages = redoer.unreadable_pages();
  // A log without its first record is as good as empty only if nothing can be missing.
  log::Notice("redo: {} records from {:#x} to {:#x} in {} ms; the log ends there: {}",
              summary.records, begin, summary.end, (MonotonicNs() - began_ns) / 1'000'000,
              reader.end_reason());
  return summary;
}

}  // namespace warren
