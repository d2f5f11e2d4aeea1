#include "postmaster/archiver.h"

#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/ordered_store.h"
#include "conf/settings.h"
#include "postmaster/aux_processes.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/wal.h"
#include "storage/wal_archive.h"
#include "storage/wal_format.h"
#include "storage/wal_segments.h"
#include "storage/wal_time.h"

namespace warren {
namespace {

constexpr int64_t kRetryMs = 5000;
constexpr int64_t kUntilWoken = -1;  // by a complete segment, a new setting, or a signal

class Archiver {
 public:
  // What is complete and not in the archive; then how long to wait.
  int64_t Run() {
    const std::string& archive = GetSettings().wal_archive_directory;
    if (archive != archive_) Change(archive);
    if (archive_.empty()) return kUntilWoken;
    Status status = FillSegmentIfDue();
    if (status.ok()) status = ArchiveAll();
    Report(status.ok() ? "" : status.error().message);
    return status.ok() ? NextWaitMs() : kRetryMs;
  }

 private:
  // Nothing is due as long as nothing was changed; checkpoints and filling up write to the log,
  // too.
  Status FillSegmentIfDue() {
    const int64_t timeout_ms = GetSettings().wal_archive_timeout_ms;
    if (timeout_ms == 0 || MonotonicMs() - filled_at_ms_ < timeout_ms) return {};
    const uint64_t changes = Stats::Read(StatId::kMiniTransactions);
    if (changes == changes_filled_) return {};
    RETURN_IF_ERROR(FillSegment());
    RETURN_IF_ERROR(Wal::FlushAll());
    filled_at_ms_ = MonotonicMs();
    changes_filled_ = changes;
    return {};
  }

  int64_t NextWaitMs() const {
    const int64_t timeout_ms = GetSettings().wal_archive_timeout_ms;
    if (timeout_ms == 0) return kUntilWoken;
    const int64_t left_ms = filled_at_ms_ + timeout_ms - MonotonicMs();
    return left_ms > 0 ? left_ms : timeout_ms;
  }

  void Change(const std::string& archive) {
    archive_ = archive;
    next_ = 0;
    StoreAfter(state_.archived_before, next_);
  }

  Status ArchiveAll() {
    if (next_ == 0) {
      ASSIGN_OR_RETURN(const std::vector<uint64_t> present, WalSegments::List());
      next_ = present.empty() ? 1 : present.front();
    }
    StoreAfter(state_.archived_before, next_);
    // The log goes on behind a complete segment: nothing in it changes any more.
    while (next_ < SegmentOf(Wal::FlushPosition()) && !Latch::TerminateRequested()) {
      const Result<bool> archived = ArchiveSegment(archive_, next_);
      if (!archived.ok()) {
        RETURN_IF_ERROR(SkipGone());
        Stats::Add(StatId::kWalArchiveFailures);
        return archived.error();
      }
      if (*archived) {
        Stats::Add(StatId::kWalFilesArchived);
        state_.last_archived_us.store(WallClockUs());
        state_.last_archived.store(next_);
        log::Info("log file {} is in the archive", WalSegmentName(next_));
      }
      StoreAfter(state_.archived_before, ++next_);
    }
    return {};
  }

  // While nothing said what was archived before (a new archive, a new archiver), a checkpoint may
  // have taken away what it did not need.
  Status SkipGone() {
    ASSIGN_OR_RETURN(const std::vector<uint64_t> present, WalSegments::List());
    if (!present.empty() && present.front() > next_) {
      log::Warning("log files before {} are gone and were not archived",
                   WalSegmentName(present.front()));
      next_ = 0;
    }
    return {};
  }

  // One line when it begins to fail, fails differently, or works again.
  void Report(const std::string& failure) {
    state_.archive_failing.store(failure.empty() ? 0 : 1);
    if (failure == failure_) return;
    failure_ = failure;
    if (failure.empty()) return log::Notice("archiving works again");
    log::Warning("log file {} can't be archived and is kept, tried again every {} s: {}",
                 WalSegmentName(next_), kRetryMs / 1000, failure);
  }

  WalState& state_ = Segment::Wal();
  std::string archive_;
  std::string failure_;
  uint64_t next_ = 0;
  int64_t filled_at_ms_ = MonotonicMs();
  uint64_t changes_filled_ = ~uint64_t{0};  // how many there had been then; nobody knows at first
};

}  // namespace

int ArchiverMain() {
  Segment::Wal().archiver.store(Pack(ProcArray::SelfOwner()));
  Archiver archiver;
  while (!Latch::TerminateRequested()) {
    BeginAuxiliaryRound();
    Latch::Wait(archiver.Run());
  }
  return IsClosingTime() ? 0 : kEndedEarly;
}

}  // namespace warren
