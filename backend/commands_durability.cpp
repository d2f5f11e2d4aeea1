#include "backend/commands_durability.h"

#include <limits>

#include "backend/arguments.h"
#include "backend/session.h"
#include "backend/work_request.h"
#include "base/ascii.h"
#include "base/clock.h"
#include "shmem/segment.h"
#include "storage/mini_transaction.h"
#include "storage/wal.h"

namespace warren {
namespace {

Error UnknownSessionSetting(std::string_view name) {
  return MakeError(ErrorCode::kGeneric,
                   "unknown session setting '{}', there is: synchronous_commit",
                   name.substr(0, 64));
}

}  // namespace

Status BgsaveCommand(Session& session, Args args) {
  if (args.size() > 2 || (args.size() == 2 && !EqualsIgnoreCase(args[1], "schedule"))) {
    return SyntaxError();
  }
  RequestWork(Segment::Checkpoints().requests);
  session.reply().Simple(EqualsIgnoreCase(args[0], "bgsave")
                             ? "Background saving started"
                             : "Background append only file rewriting started");
  return {};
}

Status MakeCheckpoint(Session& session) {
  return HaveWorkDone(session, Segment::Checkpoints().requests, "checkpoint");
}

Status CheckpointCommand(Session& session, Args) {
  RETURN_IF_ERROR(MakeCheckpoint(session));
  session.reply().Ok();
  return {};
}

Status LastsaveCommand(Session& session, Args) {
  session.reply().Integer(Segment::Checkpoints().last_done_us.load() / 1'000'000);
  return {};
}

Status SessionGetCommand(Session& session, Args args) {
  if (!EqualsIgnoreCase(args[2], "synchronous_commit")) return UnknownSessionSetting(args[2]);
  session.reply().Bulk(session.synchronous_commit() ? "on" : "off");
  return {};
}

Status SessionSetCommand(Session& session, Args args) {
  if (!EqualsIgnoreCase(args[2], "synchronous_commit")) return UnknownSessionSetting(args[2]);
  if (EqualsIgnoreCase(args[3], "default")) {
    session.set_synchronous_commit(std::nullopt);
  } else if (EqualsIgnoreCase(args[3], "on") || EqualsIgnoreCase(args[3], "yes")) {
    session.set_synchronous_commit(true);
  } else if (EqualsIgnoreCase(args[3], "off") || EqualsIgnoreCase(args[3], "no")) {
    session.set_synchronous_commit(false);
  } else {
    return MakeError(ErrorCode::kGeneric, "synchronous_commit must be on, off or default, not '{}'",
                     args[3].substr(0, 64));
  }
  session.reply().Ok();
  return {};
}

Status WaitaofCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const int64_t local, IntegerArgument(args[1]));
  ASSIGN_OR_RETURN(const int64_t replicas, IntegerArgument(args[2]));
  ASSIGN_OR_RETURN(const int64_t timeout_ms, IntegerArgument(args[3]));
  if (local < 0 || local > 1 || replicas < 0) {
    return MakeError(ErrorCode::kGeneric, "value is out of range");
  }
  if (timeout_ms < 0) return MakeError(ErrorCode::kGeneric, "timeout is negative");
  RETURN_IF_ERROR(Wal::Flush(LastChange()));
  if (replicas > 0) {  // there are none, so that this can only end by time
    const int64_t end_us =
        timeout_ms == 0 ? std::numeric_limits<int64_t>::max() : MonotonicUs() + timeout_ms * 1000;
    (void)session.SleepUntil(end_us);
  }
  session.reply().Array(2);
  session.reply().Integer(1);
  session.reply().Integer(0);
  return {};
}

}  // namespace warren
