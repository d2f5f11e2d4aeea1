#include "backend/commands_multi.h"

#include <fmt/format.h>

#include "backend/batch.h"
#include "backend/transaction.h"
#include "backend/wanted_locks.h"

#include "conf/settings.h"

namespace warren {
namespace {

// Ends what MULTI and WATCH began, however EXEC itself ends.
class MultiEnd {
 public:
  explicit MultiEnd(Session& session) : session_(session) {}
  ~MultiEnd() { session_.EndMulti(); }
  MultiEnd(const MultiEnd&) = delete;
  MultiEnd& operator=(const MultiEnd&) = delete;

 private:
  Session& session_;
};

// What commands change of a session and EXEC has to put back before it tries again, or if nothing
// of it is to have happened.
class SessionState {
 public:
  explicit SessionState(Session& session)
      : session_(session), database_(session.database()), resp_(session.resp_version()) {}
  void Restore() {
    if (session_.database() != database_) session_.set_database(database_);
    session_.set_resp_version(resp_);
  }

 private:
  Session& session_;
  const uint32_t database_;
  const int resp_;
};

// Of the queue, in whichever databases its SELECTs lead to, and of the watched keys.
WantedLocks LocksOf(Session& session) {
  WantedLocks wanted;
  uint32_t database = session.database();
  for (const QueuedCommand& command : session.multi().commands()) {
    CollectLocks(*command.info, command.args, database, &wanted);
    if (command.info->name != "select") continue;
    if (const auto selected = DatabaseArgument(command.args[1]); selected.ok()) {
      database = *selected;
    }
  }
  session.watches().ForEach(
      [&](uint32_t of, std::string_view key) { WantKey(of, key, TxLockMode::kS, &wanted); });
  return wanted;
}

// Everything is locked.
Result<BatchEnd> RunQueue(Session& session) {
  ASSIGN_OR_RETURN(const bool changed, session.watches().Changed(session.now_ms()));
  if (changed) {
    session.reply().NullArray();
    return BatchEnd::kRollback;
  }
  const auto commands = session.multi().commands();
  session.reply().Array(commands.size());
  for (const QueuedCommand& command : commands) {
    session.RunInBatch(*command.info, command.args);
  }
  session.reply().BeginCommand();  // an error of one of them is none of EXEC
  return BatchEnd::kCommit;
}

}  // namespace

Status DiscardCommand(Session& session, Args) {
  if (!session.multi().open()) return MakeError(ErrorCode::kGeneric, "DISCARD without MULTI");
  session.EndMulti();
  session.reply().Ok();
  return {};
}

Status ExecCommand(Session& session, Args) {
  if (!session.multi().open()) return MakeError(ErrorCode::kGeneric, "EXEC without MULTI");
  const MultiEnd end(session);
  if (session.multi().spoilt()) {
    session.reply().Error("EXECABORT Transaction discarded because of previous errors.");
    return {};
  }
  SessionState state(session);
  const Status status =
      RunAsBatch(session, LocksOf(session), GetSettings().transaction_max_memory_bytes,
                 [&]() -> Result<BatchEnd> {
                   state.Restore();
                   return RunQueue(session);
                 });
  if (status.ok()) return {};
  state.Restore();
  if (status.error().code == ErrorCode::kShutdown) return status.error();
  session.reply().Error(fmt::format("EXECABORT Transaction discarded because of: {} {}",
                                    ErrorPrefix(status.error().code), status.error().message));
  return {};
}

Status MultiCommand(Session& session, Args) {
  if (session.multi().open()) {
    return MakeError(ErrorCode::kGeneric, "MULTI calls can not be nested");
  }
  session.multi().Open();
  session.ShowMulti();
  session.reply().Ok();
  return {};
}

Status UnwatchCommand(Session& session, Args) {
  // As one of EXEC's commands it comes too late, and EXEC may have to look at the keys once more.
  if (!session.multi().open()) {
    session.watches().Clear();
    session.ShowMulti();
  }
  session.reply().Ok();
  return {};
}

Status WatchCommand(Session& session, Args args) {
  if (session.multi().open()) {
    return MakeError(ErrorCode::kGeneric, "WATCH inside MULTI is not allowed");
  }
  const uint64_t limit = GetSettings().client_query_limit_bytes;
  for (const std::string_view key : args.subspan(1)) {
    const Status added = session.watches().Add(session.database(), key, session.now_ms(), limit);
    session.ShowMulti();
    RETURN_IF_ERROR(added);
  }
  session.reply().Ok();
  return {};
}

}  // namespace warren
