#include "backend/commands_backup.h"

#include <fmt/format.h>

#include <limits>
#include <span>
#include <string>
#include <vector>

#include "backend/arguments.h"
#include "backend/commands_durability.h"
#include "backend/session.h"
#include "base/clock.h"
#include "storage/backup_source.h"
#include "storage/page.h"
#include "storage/wal_format.h"

namespace warren {
namespace {

using Phase = BackupSource::Phase;

constexpr size_t kMostBytes = 1 << 20;
constexpr int64_t kMostPages = kMostBytes / kPageBytes;

Status NeedPhase(Phase needed, std::string_view why) {
  if (BackupSource::phase() == needed) return {};
  return MakeError(ErrorCode::kGeneric, "{}", why);
}

void ReplyPair(Session& session, std::string_view name, uint64_t value) {
  session.reply().Bulk(name);
  session.reply().Integer(static_cast<int64_t>(value));
}

}  // namespace

Status BackupBeginCommand(Session& session, Args) {
  RETURN_IF_ERROR(NeedPhase(Phase::kNone, "this connection makes a backup already"));
  BackupSource::HoldLog();
  Status made = MakeCheckpoint(session);
  if (!made.ok()) {
    BackupSource::ReleaseLog();
    return made;
  }
  ASSIGN_OR_RETURN(const BackupStart start, BackupSource::Begin());
  session.reply().Map(10);
  ReplyPair(session, "start_lsn", start.start);
  ReplyPair(session, "log_begin_lsn", start.log_begin);
  ReplyPair(session, "pages", start.page_count);
  ReplyPair(session, "page_bytes", kPageBytes);
  ReplyPair(session, "segment_bytes", kSegmentBytes);
  ReplyPair(session, "format_version", kFormatVersion);
  ReplyPair(session, "start_count", start.start_count);
  ReplyPair(session, "databases", start.databases);
  ReplyPair(session, "time_us", static_cast<uint64_t>(WallClockUs()));
  session.reply().Bulk("system_id");  // all 64 bits of it
  session.reply().Bulk(fmt::format("{:016x}", start.system_id));
  return {};
}

Status BackupPagesCommand(Session& session, Args args) {
  RETURN_IF_ERROR(NeedPhase(Phase::kReading, "pages are read between BACKUP BEGIN and STOP"));
  ASSIGN_OR_RETURN(const int64_t first, IntegerArgument(args[2]));
  ASSIGN_OR_RETURN(const int64_t count, IntegerArgument(args[3]));
  if (first < 0 || first > std::numeric_limits<PageNo>::max() - kMostPages || count < 1 ||
      count > kMostPages) {
    return MakeError(ErrorCode::kGeneric, "value is out of range");
  }
  std::string bytes(static_cast<size_t>(count) * kPageBytes, '\0');
  std::vector<PageNo> damaged;
  ASSIGN_OR_RETURN(const PageNo read,
                   BackupSource::ReadPages(static_cast<PageNo>(first),
                                           std::as_writable_bytes(std::span(bytes)), &damaged));
  session.reply().Array(2);
  session.reply().Bulk(std::string_view(bytes).substr(0, size_t{read} * kPageBytes));
  session.reply().Array(damaged.size());
  for (const PageNo page_no : damaged) session.reply().Integer(page_no);
  return {};
}

Status BackupStopCommand(Session& session, Args) {
  RETURN_IF_ERROR(NeedPhase(Phase::kReading, "BACKUP STOP comes once after BACKUP BEGIN"));
  // Before the stop: whatever was acknowledged by this time is in the backup.
  const int64_t time_us = WallClockUs();
  ASSIGN_OR_RETURN(const Lsn stop, BackupSource::Stop());
  session.reply().Map(2);
  ReplyPair(session, "stop_lsn", stop);
  ReplyPair(session, "time_us", static_cast<uint64_t>(time_us));
  return {};
}

Status BackupLogCommand(Session& session, Args args) {
  RETURN_IF_ERROR(NeedPhase(Phase::kStopped, "the log is read between BACKUP STOP and END"));
  ASSIGN_OR_RETURN(const int64_t from, IntegerArgument(args[2]));
  std::string bytes(kMostBytes, '\0');
  ASSIGN_OR_RETURN(
      const size_t read,
      BackupSource::ReadLog(static_cast<Lsn>(from), std::as_writable_bytes(std::span(bytes))));
  session.reply().Bulk(std::string_view(bytes).substr(0, read));
  return {};
}

Status BackupEndCommand(Session& session, Args) {
  if (BackupSource::phase() == Phase::kNone) {
    return MakeError(ErrorCode::kGeneric, "this connection makes no backup");
  }
  BackupSource::ReleaseLog();
  session.reply().Ok();
  return {};
}

}  // namespace warren
