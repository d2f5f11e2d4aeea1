#include "storage/live_log_check.h"

#include <cstring>

#include "shmem/segment.h"
#include "storage/control_file.h"
#include "storage/data_directory.h"
#include "storage/lsn_text.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "storage/wal_reader.h"

namespace warren {
namespace {

constexpr uint64_t kRecordsBetweenLooks = 1024;

void CheckOrder(FaultList& faults, std::string_view low_name, Lsn low, std::string_view high_name,
                Lsn high) {
  if (low <= high) return;
  faults.Add(fmt::format("write-ahead log: {} {} lies behind {} {}", low_name, FormatLsn(low),
                         high_name, FormatLsn(high)));
}

// Each of them only grows, so that the lower one of a pair is read first.
void CheckPositions(FaultList& faults) {
  const WalState& wal = Segment::Wal();
  {
    const SharedLock lock(Segment::WalInsertLock());
    // Stored after the redo point: read before it.
    const Lsn log_begin = wal.log_begin.load();
    const Lsn redo_point = wal.redo_point.load();
    const Lsn checkpoint_start = wal.checkpoint_start.load();
    const Lsn insert = wal.insert.load();
    CheckOrder(faults, "the log's first record needed", log_begin, "the redo point", redo_point);
    CheckOrder(faults, "the redo point", redo_point, "the checkpoint's start", checkpoint_start);
    CheckOrder(faults, "the checkpoint's start", checkpoint_start, "the insert position", insert);
    CheckOrder(faults, "the insert position", insert, "the end of the files",
               wal.allocated_end.load());
    CheckOrder(faults, "the ring's end", insert, "what it has room for",
               wal.flush.load() + Segment::WalRing().size());
  }
  const Lsn flush = wal.flush.load();
  const Lsn write = wal.write.load();
  CheckOrder(faults, "the durable end", flush, "the written end", write);
  CheckOrder(faults, "the written end", write, "the insert position", wal.insert.load());
  if (const int failure = wal.failure.load(); failure != 0) {
    faults.Add(fmt::format("write-ahead log: writing it failed: {}", std::strerror(failure)));
  }
  if (const int failure = wal.data_failure.load(); failure != 0) {
    faults.Add(
        fmt::format("data file \"base/main\": syncing it failed: {}", std::strerror(failure)));
  }
}

Status CheckControlFile(FaultList& faults) {
  const WalState& wal = Segment::Wal();
  const std::string path = ControlPath(DataDirectory::Path());
  const Lsn at_least = wal.redo_point.load();
  const Result<ControlData> control = ReadControl(DataDirectory::Path());
  if (!control.ok()) {
    if (control.error().code != ErrorCode::kCorrupt) return control.error();
    faults.Add(control.error().message);
    return {};
  }
  const auto wrong = [&](size_t offset, std::string_view what) {
    faults.Add(fmt::format("control file \"{}\" offset {}: {}", path, offset, what));
  };
  if (control->system_id != Wal::GetIdentity().system_id) {
    wrong(offsetof(ControlData, system_id), "it belongs to another system");
  }
  if (control->state != DirectoryState::kInUse) {
    wrong(offsetof(ControlData, state), "it does not say that the directory is in use");
  }
  if (control->start_count != Segment::Server().start_count.load()) {
    wrong(offsetof(ControlData, start_count),
          fmt::format("start count {}, this is start {}", control->start_count,
                      Segment::Server().start_count.load()));
  }
  if (control->redo_begin < at_least || control->redo_begin > wal.checkpoint_start.load()) {
    wrong(offsetof(ControlData, redo_begin),
          fmt::format("redo would begin at {}, the last checkpoint at {}",
                      FormatLsn(control->redo_begin), FormatLsn(at_least)));
  }
  return {};
}

// Reads on from where redo needs the log until `to`. A checkpoint meanwhile may take the files
// away: then what is left is read from where it is needed then.
Status CheckRecords(LiveReport& report, FunctionRef<bool()> keep_going) {
  const WalState& wal = Segment::Wal();
  report.log_from = wal.log_begin.load();
  report.log_to = Wal::FlushPosition();
  for (Lsn from = report.log_from; from < report.log_to;) {
    WalReader reader(from, Wal::GetIdentity().system_id);
    for (uint64_t records = 0; reader.position() < report.log_to; ++records) {
      if (records % kRecordsBetweenLooks == 0 && !keep_going()) {
        return CheckStopped();
      }
      ASSIGN_OR_RETURN(const auto record, reader.NextOfAll());
      if (!record.has_value()) break;
    }
    if (reader.position() >= report.log_to) return {};
    from = wal.log_begin.load();
    if (from > reader.position()) continue;
    report.faults.Add(
        fmt::format("write-ahead log segment {}: {}, although it is durable up to {} (offset {})",
                    WalSegmentName(SegmentOf(reader.position())), reader.end_reason(),
                    FormatLsn(report.log_to), SegmentOffset(reader.position())));
    return {};
  }
  return {};
}

}  // namespace

Status CheckRunningLog(LiveReport& report, FunctionRef<bool()> keep_going) {
  CheckPositions(report.faults);
  RETURN_IF_ERROR(CheckControlFile(report.faults));
  return CheckRecords(report, keep_going);
}

}  // namespace warren
