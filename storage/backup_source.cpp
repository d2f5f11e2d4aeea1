#include "storage/backup_source.h"

#include <poll.h>

#include <algorithm>

#include "base/log.h"
#include "shmem/segment.h"
#include "storage/checkpoint.h"
#include "storage/data_file.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "storage/wal_segments.h"

namespace warren {
namespace {

// A page that is being written is whole again after one write; a disk may be slow.
constexpr int kPageReadAttempts = 50;
constexpr int kPageRetryMs = 2;

struct BackupState {
  BackupSource::Phase phase = BackupSource::Phase::kNone;
  Lsn log_begin = 0;
  Lsn stop = 0;
};
// Of this process (tests: thread).
thread_local BackupState t_backup;

// True once the page at `bytes` is as somebody wrote it.
Result<bool> IsWhole(PageNo page_no, std::span<std::byte> bytes) {
  alignas(8) thread_local std::byte copy[kPageBytes];
  std::copy(bytes.begin(), bytes.end(), copy);  // the check takes the checksum out
  const Status verified = VerifyPage(page_no, copy);
  if (verified.ok()) return true;
  if (verified.error().code != ErrorCode::kCorrupt) return verified.error();
  return false;
}

// Reads one page until it is whole; false if it never was.
Result<bool> ReadAgain(PageNo page_no, std::span<std::byte> bytes) {
  for (int attempt = 0; attempt < kPageReadAttempts; ++attempt) {
    poll(nullptr, 0, kPageRetryMs);
    ASSIGN_OR_RETURN(const PageNo read, DataFile::Get().ReadUnchecked(page_no, bytes));
    if (read == 0) {  // cut off meanwhile
      std::fill(bytes.begin(), bytes.end(), std::byte{0});
      return true;
    }
    ASSIGN_OR_RETURN(const bool whole, IsWhole(page_no, bytes));
    if (whole) return true;
  }
  return false;
}

}  // namespace

void BackupSource::HoldLog() {
  // Before the checkpoint is asked for: it looks at the holds when it takes files away, after this.
  // No later checkpoint needs the log from further back.
  ProcArray::Self().wal_hold.store(Segment::Wal().log_begin.load());
  t_backup = {.phase = Phase::kHeld, .log_begin = 0, .stop = 0};
}

Result<BackupStart> BackupSource::Begin() {
  const Lsn start = Segment::Wal().redo_point.load();
  // From the record itself: the two positions in the segment may be of different checkpoints.
  ASSIGN_OR_RETURN(const Lsn log_begin, FindLogBegin(start));
  ProcArray::Self().wal_hold.store(log_begin);
  t_backup = {.phase = Phase::kReading, .log_begin = log_begin, .stop = 0};
  const Wal::Identity& identity = Wal::GetIdentity();
  return BackupStart{.start = start,
                     .log_begin = log_begin,
                     .page_count = DataFile::Get().page_count(),
                     .system_id = identity.system_id,
                     .start_count = identity.start_count,
                     .databases = Segment::Config().database_count};
}

Result<PageNo> BackupSource::ReadPages(PageNo first, std::span<std::byte> bytes,
                                       std::vector<PageNo>* damaged) {
  ASSIGN_OR_RETURN(const PageNo count, DataFile::Get().ReadUnchecked(first, bytes));
  for (PageNo i = 0; i < count; ++i) {
    const std::span<std::byte> page = bytes.subspan(size_t{i} * kPageBytes, kPageBytes);
    ASSIGN_OR_RETURN(bool whole, IsWhole(first + i, page));
    if (whole) continue;
    ASSIGN_OR_RETURN(whole, ReadAgain(first + i, page));
    if (whole) continue;
    log::Warning("backup: {}: its checksum does not fit, it is copied as it is",
                 DescribePage(first + i));
    damaged->push_back(first + i);
  }
  return count;
}

Result<Lsn> BackupSource::Stop() {
  const Lsn stop = Wal::InsertPosition();
  RETURN_IF_ERROR(Wal::Flush(stop));
  t_backup.stop = stop;
  t_backup.phase = Phase::kStopped;
  return stop;
}

Result<size_t> BackupSource::ReadLog(Lsn from, std::span<std::byte> bytes) {
  const Lsn first = t_backup.log_begin - SegmentOffset(t_backup.log_begin);
  if (from < first || from > t_backup.stop) {
    return MakeError(ErrorCode::kGeneric, "log position {:#x} is not between {:#x} and {:#x}", from,
                     first, t_backup.stop);
  }
  const uint64_t size =
      std::min({bytes.size(), t_backup.stop - from, kSegmentBytes - SegmentOffset(from)});
  ASSIGN_OR_RETURN(const size_t read, WalSegments::Read(from, bytes.data(), size));
  if (read == size) return read;
  return MakeError(ErrorCode::kCorrupt, "log file \"{}\": {} bytes at offset {} are missing",
                   WalSegmentName(SegmentOf(from)), size - read, SegmentOffset(from) + read);
}

void BackupSource::ReleaseLog() {
  if (t_backup.phase == Phase::kNone) return;
  ProcArray::Self().wal_hold.store(0);
  t_backup = {};
}

BackupSource::Phase BackupSource::phase() { return t_backup.phase; }

}  // namespace warren
