#include "backend/commands_server.h"

#include <cmath>
#include <csignal>
#include <string>
#include <vector>

#include "backend/arguments.h"
#include "backend/info.h"
#include "backend/occupancy.h"
#include "backend/session.h"
#include "base/ascii.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/log.h"
#include "shmem/segment.h"
#include "shmem/stats_view.h"

namespace warren {
namespace {

constexpr double kMostSleepSeconds = 1e6;

enum class ShutdownRequest : uint8_t { kStop, kAbort };

Result<ShutdownRequest> ParseShutdown(Args args) {
  bool save = false;
  bool nosave = false;
  bool abort = false;
  for (const std::string_view option : args.subspan(1)) {
    if (EqualsIgnoreCase(option, "save")) {
      save = true;
    } else if (EqualsIgnoreCase(option, "nosave")) {
      nosave = true;
    } else if (EqualsIgnoreCase(option, "abort")) {
      abort = true;
    } else if (!EqualsIgnoreCase(option, "now") && !EqualsIgnoreCase(option, "force")) {
      return SyntaxError();
    }
  }
  if ((save && nosave) || (abort && args.size() > 2)) return SyntaxError();
  return abort ? ShutdownRequest::kAbort : ShutdownRequest::kStop;
}

}  // namespace

Status AclWhoAmICommand(Session& session, Args) {
  session.reply().Bulk("default");
  return {};
}

Status DebugSleepCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const long double seconds, FloatArgument(args[2]));
  if (seconds < 0 || seconds > kMostSleepSeconds) {
    return MakeError(ErrorCode::kGeneric, "value is out of range");
  }
  (void)session.SleepUntil(MonotonicUs() + std::llround(seconds * 1e6L));
  session.reply().Ok();
  return {};
}

Status InfoCommand(Session& session, Args args) {
  session.reply().Verbatim("txt", InfoText(args.subspan(1)));
  return {};
}

Status MemoryCountsCommand(Session& session, Args) {
  ASSIGN_OR_RETURN(const std::vector<Occupancy> counts, CountOccupancy());
  session.reply().Map(counts.size());
  for (const Occupancy& count : counts) {
    session.reply().Bulk(count.name);
    session.reply().Integer(static_cast<int64_t>(count.count));
  }
  return {};
}

Status MemorySegmentCommand(Session& session, Args) {
  Reply& reply = session.reply();
  const auto structures = Segment::Structures();
  reply.Array(structures.size());
  for (const SharedStructureInfo& structure : structures) {
    reply.Map(4);
    reply.Bulk("name");
    reply.Bulk(structure.name);
    reply.Bulk("offset");
    reply.Integer(static_cast<int64_t>(structure.offset));
    reply.Bulk("bytes");
    reply.Integer(static_cast<int64_t>(structure.bytes));
    reply.Bulk("help");
    reply.Bulk(structure.help);
  }
  return {};
}

Status RoleCommand(Session& session, Args) {
  session.reply().Array(3);
  session.reply().Bulk("master");
  session.reply().Integer(0);
  session.reply().Array(0);
  return {};
}

// The postmaster ends this session too, so there is no reply, as in Redis.
Status ShutdownCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const ShutdownRequest request, ParseShutdown(args));
  if (request == ShutdownRequest::kAbort) {
    return MakeError(ErrorCode::kGeneric, "No shutdown in progress.");
  }
  log::Notice("shutdown asked for by client {} at {}", session.client_id(),
              session.client().address.Get());
  if (kill(Segment::Server().postmaster_pid.load(), SIGINT) != 0) {
    return MakeError(ErrorCode::kGeneric, "Errors trying to SHUTDOWN. Check logs.");
  }
  session.Close(CloseReason::kShutdown);
  return {};
}

Status StatsCommand(Session& session, Args args) {
  if (args.size() > 2) return SyntaxError();
  std::vector<Statistic> statistics = AllStatistics();
  if (args.size() == 2) {
    std::erase_if(statistics, [&](const Statistic& statistic) {
      return !GlobMatch(args[1], statistic.name, GlobCase::kIgnore);
    });
  }
  session.reply().Map(statistics.size());
  for (const Statistic& statistic : statistics) {
    session.reply().Bulk(statistic.name);
    session.reply().Integer(static_cast<int64_t>(statistic.read()));
  }
  return {};
}

Status TimeCommand(Session& session, Args) {
  const int64_t now_us = WallClockUs();
  session.reply().Array(2);
  session.reply().Bulk(std::to_string(now_us / 1'000'000));
  session.reply().Bulk(std::to_string(now_us % 1'000'000));
  return {};
}

}  // namespace warren
