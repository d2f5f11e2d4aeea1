#include "backend/commands_connection.h"

#include <charconv>

#include "backend/session.h"
#include "shmem/segment.h"

namespace warren {

void PingCommand(Session& session, Args args) {
  if (args.size() > 2) {
    return session.reply().Error("ERR wrong number of arguments for 'ping' command");
  }
  args.size() == 2 ? session.reply().Bulk(args[1]) : session.reply().Simple("PONG");
}

void EchoCommand(Session& session, Args args) { session.reply().Bulk(args[1]); }

void QuitCommand(Session& session, Args) {
  session.reply().Ok();
  session.Close(CloseReason::kQuit);
}

void SelectCommand(Session& session, Args args) {
  uint32_t database = 0;
  const char* end = args[1].data() + args[1].size();
  const auto [stop, error] = std::from_chars(args[1].data(), end, database);
  if (error == std::errc::invalid_argument || stop != end) {
    return session.reply().Error("ERR value is not an integer or out of range");
  }
  if (error != std::errc() || database >= Segment::Config().database_count) {
    return session.reply().Error("ERR DB index is out of range");
  }
  session.set_database(database);
  session.reply().Ok();
}

void ResetCommand(Session& session, Args) {
  session.Reset();
  session.reply().Simple("RESET");
}

}  // namespace warren
