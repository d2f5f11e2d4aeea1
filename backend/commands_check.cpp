#include "backend/commands_check.h"

#include "backend/session.h"
#include "base/clock.h"
#include "base/log.h"
#include "shmem/stats.h"
#include "storage/live_check.h"
#include "storage/lsn_text.h"

namespace warren {
namespace {

void ReplyLines(Reply& reply, std::string_view name, const std::vector<std::string>& lines) {
  reply.Bulk(name);
  reply.Array(lines.size());
  for (const std::string& line : lines) reply.Bulk(line);
}

void ReplyNumber(Reply& reply, std::string_view name, uint64_t value) {
  reply.Bulk(name);
  reply.Integer(static_cast<int64_t>(value));
}

}  // namespace

Status CheckCommand(Session& session, Args) {
  const int64_t began_us = MonotonicUs();
  const auto keep_going = [&session] {
    session.AttendToWakeUp();
    return session.close_reason() == CloseReason::kNone;
  };
  ASSIGN_OR_RETURN(const LiveReport report, CheckRunningStore(keep_going));
  for (const std::string& fault : report.faults.lines()) log::Error("check: {}", fault);
  log::Notice("check: {} faults; {} pages and the log from {} to {} read, {}",
              report.faults.count(), report.pages, FormatLsn(report.log_from),
              FormatLsn(report.log_to),
              report.complete ? "everything at rest" : "clients were at work");
  Reply& reply = session.reply();
  reply.Map(9);
  ReplyLines(reply, "faults", report.faults.lines());
  ReplyLines(reply, "notes", report.notes);
  ReplyNumber(reply, "complete", report.complete ? 1 : 0);
  ReplyNumber(reply, "pages", report.pages);
  ReplyNumber(reply, "keys", report.keys);
  reply.Bulk("log_from");
  reply.Bulk(FormatLsn(report.log_from));
  reply.Bulk("log_to");
  reply.Bulk(FormatLsn(report.log_to));
  ReplyNumber(reply, "redo_unreadable_pages", Stats::ReadSinceStart(StatId::kRedoUnreadablePages));
  ReplyNumber(reply, "milliseconds", static_cast<uint64_t>((MonotonicUs() - began_us) / 1000));
  return {};
}

}  // namespace warren
