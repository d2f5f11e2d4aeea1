// Which commands are about the connection itself?
#pragma once

#include "backend/command.h"

namespace warren {

void PingCommand(Session& session, Args args);
void EchoCommand(Session& session, Args args);
void QuitCommand(Session& session, Args args);
void SelectCommand(Session& session, Args args);
void ResetCommand(Session& session, Args args);

inline constexpr CommandInfo kConnectionCommands[] = {
    {.name = "ping",
     .arity = -1,
     .flags = kFast,
     .group = "connection",
     .syntax = "PING [message]",
     .summary = "Returns PONG, or the message.",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = PingCommand},
    {.name = "echo",
     .arity = 2,
     .flags = kFast | kLoading | kStale,
     .group = "connection",
     .syntax = "ECHO message",
     .summary = "Returns the message.",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = EchoCommand},
    {.name = "quit",
     .arity = -1,
     .flags = kFast | kLoading | kStale | kNoAuth | kAllowBusy,
     .group = "connection",
     .syntax = "QUIT",
     .summary = "Closes the connection after the replies so far.",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = QuitCommand},
    {.name = "select",
     .arity = 2,
     .flags = kFast | kLoading | kStale,
     .group = "connection",
     .syntax = "SELECT index",
     .summary = "Changes the database that later commands of this connection use.",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = SelectCommand},
    {.name = "reset",
     .arity = 1,
     .flags = kFast | kLoading | kStale | kNoAuth | kAllowBusy,
     .group = "connection",
     .syntax = "RESET",
     .summary = "Makes the connection as if newly opened: database 0, RESP2, no name, not "
                "authenticated.",
     .since = "6.2.0",
     .complexity = "O(1)",
     .handler = ResetCommand},
};

}  // namespace warren
