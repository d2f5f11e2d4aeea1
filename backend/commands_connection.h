// Which commands are about the connection itself?
//
// What concerns other connections too is in commands_client.h.
#pragma once

#include "backend/command.h"
#include "backend/keyspace.h"

namespace warren {

Status AuthCommand(Session& session, Args args);
Status EchoCommand(Session& session, Args args);
Status HelloCommand(Session& session, Args args);
Status PingCommand(Session& session, Args args);
Status QuitCommand(Session& session, Args args);
Status ResetCommand(Session& session, Args args);
Status SelectCommand(Session& session, Args args);

// "Client names cannot contain spaces ..." or that it is too long.
Status CheckClientName(std::string_view name);

inline constexpr CommandInfo kConnectionCommands[] = {
    {.name = "auth",
     .arity = -2,
     .flags = kFast | kLoading | kStale | kNoAuth | kAllowBusy | kNoScript,
     .group = "connection",
     .syntax = "AUTH [username] password",
     .summary = "authenticates the connection; the only user is \"default\"",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<AuthCommand>},
    {.name = "echo",
     .arity = 2,
     .flags = kFast | kLoading | kStale | kWhileAborted,
     .group = "connection",
     .syntax = "ECHO message",
     .summary = "returns the message",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<EchoCommand>},
    {.name = "hello",
     .arity = -1,
     .flags = kFast | kLoading | kStale | kNoAuth | kAllowBusy | kNoScript,
     .group = "connection",
     .syntax = "HELLO [protover [AUTH username password] [SETNAME clientname]]",
     .summary = "chooses the protocol version, authenticates, and says who the server is",
     .since = "6.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<HelloCommand>},
    {.name = "ping",
     .arity = -1,
     .flags = kFast | kWhileAborted,
     .group = "connection",
     .syntax = "PING [message]",
     .summary = "returns PONG, or the message",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<PingCommand>},
    {.name = "quit",
     .arity = -1,
     .flags =
         kFast | kLoading | kStale | kNoAuth | kAllowBusy | kNoScript | kNotQueued | kWhileAborted,
     .group = "connection",
     .syntax = "QUIT",
     .summary = "closes the connection after the replies so far",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<QuitCommand>},
    {.name = "reset",
     .arity = 1,
     .flags =
         kFast | kLoading | kStale | kNoAuth | kAllowBusy | kNoScript | kNotQueued | kWhileAborted,
     .group = "connection",
     .syntax = "RESET",
     .summary = "makes the connection as if newly opened: database 0, RESP2, no name, not "
                "authenticated",
     .since = "6.2.0",
     .complexity = "O(1)",
     .handler = RunCommand<ResetCommand>},
    {.name = "select",
     .arity = 2,
     .flags = kFast | kLoading | kStale,
     .group = "connection",
     .syntax = "SELECT index",
     .summary = "changes the database that later commands of this connection use",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<SelectCommand>},
};

}  // namespace warren
