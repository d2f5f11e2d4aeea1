#include "backend/commands_durability.h"

#include <fmt/format.h>

#include <limits>
#include <optional>
#include <string>

#include "backend/arguments.h"
#include "backend/session.h"
#include "backend/work_request.h"
#include "base/ascii.h"
#include "base/clock.h"
#include "conf/settings.h"
#include "conf/units.h"
#include "shmem/segment.h"
#include "storage/mini_transaction.h"
#include "storage/wal.h"

namespace warren {
namespace {

Error WrongSessionValue(std::string_view name, std::string_view kind, std::string_view value) {
  return MakeError(ErrorCode::kGeneric, "{} must be {} or default, not '{}'", name, kind,
                   value.substr(0, 64));
}

std::string ShowSynchronousCommit(const Session& session) {
  return session.synchronous_commit() ? "on" : "off";
}
Status SetSynchronousCommit(Session& session, std::string_view value) {
  if (EqualsIgnoreCase(value, "default")) {
    session.set_synchronous_commit(std::nullopt);
  } else if (EqualsIgnoreCase(value, "on") || EqualsIgnoreCase(value, "yes")) {
    session.set_synchronous_commit(true);
  } else if (EqualsIgnoreCase(value, "off") || EqualsIgnoreCase(value, "no")) {
    session.set_synchronous_commit(false);
  } else {
    return WrongSessionValue("synchronous_commit", "on, off", value);
  }
  return {};
}

// A time within the range of the setting of the same name.
template <void (Session::*set)(std::optional<int64_t>)>
Status SetDuration(Session& session, std::string_view name, int64_t least_ms,
                   std::string_view value) {
  if (EqualsIgnoreCase(value, "default")) {
    (session.*set)(std::nullopt);
    return {};
  }
  const auto ms = ParseDuration(value, 1);
  if (!ms || *ms < least_ms || *ms > kDayMs) {
    return WrongSessionValue(name, fmt::format("a time from {} to 24h", FormatDuration(least_ms)),
                             value);
  }
  (session.*set)(*ms);
  return {};
}

std::string ShowLockTimeout(const Session& session) {
  return FormatDuration(session.lock_timeout_ms());
}
Status SetLockTimeout(Session& session, std::string_view value) {
  return SetDuration<&Session::set_lock_timeout_ms>(session, "lock_timeout", 0, value);
}

std::string ShowDeadlockTimeout(const Session& session) {
  return FormatDuration(session.deadlock_timeout_ms());
}
Status SetDeadlockTimeout(Session& session, std::string_view value) {
  return SetDuration<&Session::set_deadlock_timeout_ms>(session, "deadlock_timeout", 1, value);
}

// What a connection may have otherwise than the server.
struct SessionSetting {
  std::string_view name;
  std::string (*show)(const Session& session);
  Status (*set)(Session& session, std::string_view value);
};
constexpr SessionSetting kSessionSettings[] = {
    {"deadlock_timeout", ShowDeadlockTimeout, SetDeadlockTimeout},
    {"lock_timeout", ShowLockTimeout, SetLockTimeout},
    {"synchronous_commit", ShowSynchronousCommit, SetSynchronousCommit},
};

Result<const SessionSetting*> FindSessionSetting(std::string_view name) {
  std::string names;
  for (const SessionSetting& setting : kSessionSettings) {
    if (EqualsIgnoreCase(name, setting.name)) return &setting;
    names += names.empty() ? "" : ", ";
    names += setting.name;
  }
  return MakeError(ErrorCode::kGeneric, "unknown session setting '{}', there are: {}",
                   name.substr(0, 64), names);
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
  ASSIGN_OR_RETURN(const SessionSetting* const setting, FindSessionSetting(args[2]));
  session.reply().Bulk(setting->show(session));
  return {};
}

Status SessionSetCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const SessionSetting* const setting, FindSessionSetting(args[2]));
  RETURN_IF_ERROR(setting->set(session, args[3]));
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
