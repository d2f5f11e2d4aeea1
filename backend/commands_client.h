// Which commands show, name and end client connections?
#pragma once

#include "backend/command.h"
#include "backend/container_help.h"
#include "backend/keyspace.h"

namespace warren {

Status ClientGetNameCommand(Session& session, Args args);
Status ClientIdCommand(Session& session, Args args);
Status ClientInfoCommand(Session& session, Args args);
Status ClientKillCommand(Session& session, Args args);
Status ClientListCommand(Session& session, Args args);
Status ClientNoEvictCommand(Session& session, Args args);
Status ClientReplyCommand(Session& session, Args args);
Status ClientSetInfoCommand(Session& session, Args args);
Status ClientSetNameCommand(Session& session, Args args);

inline constexpr CommandInfo kClientCommands[] = {
    {.name = "client",
     .arity = -2,
     .group = "connection",
     .syntax = "CLIENT subcommand [argument ...]",
     .summary = "shows, names and ends client connections",
     .since = "2.4.0",
     .complexity = "depends on the sub-command"},
    {.name = "client|getname",
     .arity = 2,
     .flags = kLoading | kStale | kNoScript,
     .group = "connection",
     .syntax = "CLIENT GETNAME",
     .summary = "returns this connection's name",
     .since = "2.6.9",
     .complexity = "O(1)",
     .handler = RunCommand<ClientGetNameCommand>},
    {.name = "client|help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "connection",
     .syntax = "CLIENT HELP",
     .summary = "says what the sub-commands are",
     .since = "5.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<ContainerHelpCommand>},
    {.name = "client|id",
     .arity = 2,
     .flags = kLoading | kStale | kNoScript,
     .group = "connection",
     .syntax = "CLIENT ID",
     .summary = "returns this connection's number, which no later one will have while the server "
                "runs",
     .since = "5.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<ClientIdCommand>},
    {.name = "client|info",
     .arity = 2,
     .flags = kLoading | kStale | kNoScript,
     .group = "connection",
     .syntax = "CLIENT INFO",
     .summary = "returns this connection's line of CLIENT LIST",
     .since = "6.2.0",
     .complexity = "O(1)",
     .handler = RunCommand<ClientInfoCommand>},
    {.name = "client|kill",
     .arity = -3,
     .flags = kAdmin | kDangerous | kLoading | kStale | kNoScript,
     .group = "connection",
     .syntax = "CLIENT KILL ip:port | [ID id] [TYPE NORMAL|MASTER|REPLICA|PUBSUB] [USER username] "
               "[ADDR ip:port] [LADDR ip:port] [SKIPME YES|NO]",
     .summary = "ends the connections that all conditions fit, each after the command it executes, "
                "or by killing its process when that takes more than 5 s",
     .since = "2.4.0",
     .complexity = "O(N), N being the number of process slots",
     .handler = RunCommand<ClientKillCommand>},
    {.name = "client|list",
     .arity = -2,
     .flags = kAdmin | kDangerous | kLoading | kStale | kNoScript,
     .group = "connection",
     .syntax = "CLIENT LIST [TYPE NORMAL|MASTER|REPLICA|PUBSUB] [ID id [id ...]]",
     .summary = "returns a line for each connection, with its backend's process id and slot",
     .since = "2.4.0",
     .complexity = "O(N), N being the number of process slots",
     .handler = RunCommand<ClientListCommand>},
    {.name = "client|no-evict",
     .arity = 3,
     .flags = kAdmin | kDangerous | kLoading | kStale | kNoScript,
     .group = "connection",
     .syntax = "CLIENT NO-EVICT ON|OFF",
     .summary = "marks the connection as not to be evicted; no connection ever is",
     .since = "7.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<ClientNoEvictCommand>},
    {.name = "client|reply",
     .arity = 3,
     .flags = kLoading | kStale | kNoScript | kNoMulti,
     .group = "connection",
     .syntax = "CLIENT REPLY ON|OFF|SKIP",
     .summary = "says whether this connection gets replies; SKIP leaves out the next one",
     .since = "3.2.0",
     .complexity = "O(1)",
     .handler = RunCommand<ClientReplyCommand>,
     .not_in_transaction = "the client could not know how its transaction ended"},
    {.name = "client|setinfo",
     .arity = 4,
     .flags = kLoading | kStale | kNoScript,
     .group = "connection",
     .syntax = "CLIENT SETINFO LIB-NAME libname | LIB-VER libver",
     .summary = "notes which client library this is, for CLIENT LIST",
     .since = "7.2.0",
     .complexity = "O(1)",
     .handler = RunCommand<ClientSetInfoCommand>},
    {.name = "client|setname",
     .arity = 3,
     .flags = kLoading | kStale | kNoScript,
     .group = "connection",
     .syntax = "CLIENT SETNAME name",
     .summary = "gives this connection a name; an empty one takes it away",
     .since = "2.6.9",
     .complexity = "O(1)",
     .handler = RunCommand<ClientSetNameCommand>},
};

}  // namespace warren
