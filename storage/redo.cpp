#include "storage/redo.h"

#include <algorithm>
#include <unordered_set>

#include "base/clock.h"
#include "base/log.h"
#include "shmem/buffer_cache.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/checkpoint.h"
#include "storage/data_file.h"
#include "storage/database_counts.h"
#include "storage/fencing.h"
#include "storage/lsn_text.h"
#include "storage/page_images.h"
#include "storage/record.h"
#include "storage/wal.h"
#include "storage/wal_reader.h"

namespace warren {
namespace {

constexpr int64_t kProgressEveryNs = 5'000'000'000;

Error RecordError(const WalRecord& record, std::string_view what) {
  return MakeError(ErrorCode::kCorrupt, "write-ahead log: record at {:#x}: {}", record.begin, what);
}

class Redoer {
 public:
  explicit Redoer(Lsn begin) : begin_(begin) {}

  Status Apply(const WalRecord& record) {
    switch (record.header.type) {
      case kPageChange:
        return ApplyPageChange(record);
      case kCheckpoint:
        return LoadCheckpoint(record);
      case kCommit:
      case kCommitEnd:
        return commits_.Add(record);
      case kTokenLimit:
        return LoadTokenLimit(record.head);
      case kTimeMark:
      case kCommitChunk:
        return {};
      default:
        return RecordError(record, fmt::format("no type {}", record.header.type));
    }
  }

  uint64_t unreadable_pages() const { return unreadable_.size(); }
  std::vector<CommitPlace> UnfinishedCommits() const { return commits_.Unfinished(); }
  Lsn log_begin() const { return log_begin_; }

 private:
  Status LoadCheckpoint(const WalRecord& record) {
    RETURN_IF_ERROR(LoadCheckpointCounts(record.head));
    ASSIGN_OR_RETURN(const CheckpointHead head, ReadCheckpointHead(record.head));
    RaiseTokenLimit(head.token_limit);
    // Only of the first record: everything behind it comes along by itself.
    if (record.begin != begin_ || head.oldest_commit == 0) return {};
    log_begin_ = head.oldest_commit;
    return CollectCommits();
  }

  // Page changes before the checkpoint are in the file; of the commits that were being made, only
  // the log knows what they still had to change.
  Status CollectCommits() {
    WalReader reader(log_begin_, Wal::GetIdentity().system_id);
    for (;;) {
      ASSIGN_OR_RETURN(const std::optional<WalRecord> record, reader.Next());
      if (!record.has_value()) {
        return MakeError(ErrorCode::kCorrupt,
                         "write-ahead log: {}, although a commit that began at {:#x} needs it up "
                         "to {:#x}",
                         reader.end_reason(), log_begin_, begin_);
      }
      if (record->begin >= begin_) return {};
      RETURN_IF_ERROR(commits_.Add(*record));
    }
  }

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
    if (view.header().type == RecordType::kCutFile) RETURN_IF_ERROR(CutFile(record, view));
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
      ASSIGN_OR_RETURN(ExclusivePage page, BufferCache::GetNew(ref.page_no, lsn));
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

  // Later records make the pages beyond anew; what is in the file from after them is made again,
  // too.
  Status CutFile(const WalRecord& record, RecordView view) {
    DataFile& file = DataFile::Get();
    const PageNo end = view.payload<CutFilePayload>().page_count;
    if (end < kFirstFreePage) return RecordError(record, fmt::format("a file of {} pages", end));
    if (end >= file.page_count()) return {};
    file.MoveEndTo(end);
    BufferCache::DropFrom(end);
    std::erase_if(unreadable_, [&](PageNo page_no) { return page_no >= end; });
    return file.CutToEnd();
  }

  Status NoteUnreadable(PageNo page_no, Error error) {
    if (error.code != ErrorCode::kCorrupt) return error;
    // It was damaged after it had reached the disk whole. Everything else can go on.
    log::Error("redo: {}", error.message);
    if (unreadable_.insert(page_no).second) Stats::Add(StatId::kRedoUnreadablePages);
    return {};
  }

  const Lsn begin_;
  Lsn log_begin_ = begin_;
  CommitCollector commits_;
  std::unordered_set<PageNo> unreadable_;
};

// Says how far redo is: to whoever looks at the segment, and now and then to the log.
class Progress {
 public:
  static Result<Progress> Begin(Lsn begin) {
    WalState& state = Segment::Wal();
    ASSIGN_OR_RETURN(state.redo_limit, EndOfLastSegment(begin));
    state.redo_at = begin;
    state.redo_begin = begin;
    return Progress(begin);
  }

  void Show(Lsn at, uint64_t records) {
    Segment::Wal().redo_at.store(at, std::memory_order_relaxed);
    if (MonotonicNs() < next_line_ns_) return;
    next_line_ns_ += kProgressEveryNs;
    log::Notice("redo: at {}, {} % of the log at most, {} MB and {} records done, {:.0f} MB/s",
                FormatLsn(at), RedoPercent(Segment::Wal()), (at - begin_) >> 20, records,
                MegabytesPerSecond(at));
  }
  int64_t elapsed_ms() const { return (MonotonicNs() - began_ns_) / 1'000'000; }
  double MegabytesPerSecond(Lsn at) const {
    const auto nanoseconds = static_cast<double>(std::max<int64_t>(MonotonicNs() - began_ns_, 1));
    return static_cast<double>(at - begin_) / (1 << 20) / (nanoseconds / 1e9);
  }

 private:
  explicit Progress(Lsn begin) : begin_(begin) {}

  // Segments that were given new names for later use lie behind the log's last one; what they begin
  // with is valid at their old place only.
  static Result<Lsn> EndOfLastSegment(Lsn begin) {
    uint64_t segment = SegmentOf(begin);
    for (;; ++segment) {
      WalReader reader((segment + 1) * kSegmentBytes, Wal::GetIdentity().system_id);
      ASSIGN_OR_RETURN(const std::optional<WalRecord> start, reader.NextOfAll());
      if (!start.has_value()) return (segment + 1) * kSegmentBytes;
    }
  }

  Lsn begin_;
  int64_t began_ns_ = MonotonicNs();
  int64_t next_line_ns_ = began_ns_ + kProgressEveryNs;
};

}  // namespace

int RedoPercent(const WalState& state) {
  const Lsn begin = state.redo_begin.load();
  const Lsn limit = state.redo_limit.load();
  if (begin == 0 || limit <= begin) return 0;
  return static_cast<int>((state.redo_at.load() - begin) * 100 / (limit - begin));
}

Result<RedoSummary> Redo(Lsn begin) {
  RedoSummary summary{.begin = begin, .end = begin};
  WalReader reader(begin, Wal::GetIdentity().system_id);
  Redoer redoer(begin);
  ASSIGN_OR_RETURN(Progress progress, Progress::Begin(begin));
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<WalRecord> record, reader.Next());
    if (!record.has_value()) break;
    RETURN_IF_ERROR(redoer.Apply(*record));
    ++summary.records;
    if (summary.records % 512 == 0) progress.Show(record->end, summary.records);
  }
  summary.end = reader.position();
  summary.start_count = reader.start_count();
  summary.unreadable_pages = redoer.unreadable_pages();
  summary.log_begin = redoer.log_begin();
  summary.unfinished = redoer.UnfinishedCommits();
  summary.end_reason = reader.end_reason();
  Segment::Wal().redo_at = summary.end;
  log::Notice("redo: {} records from {} to {} in {} ms, {:.0f} MB/s; the log ends there: {}",
              summary.records, FormatLsn(begin), FormatLsn(summary.end), progress.elapsed_ms(),
              progress.MegabytesPerSecond(summary.end), summary.end_reason);
  return summary;
}

}  // namespace warren
