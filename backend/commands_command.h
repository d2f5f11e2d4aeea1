// Which commands describe the commands?
#pragma once

#include "backend/command.h"
#include "backend/container_help.h"
#include "backend/keyspace.h"

namespace warren {

Status CommandCommand(Session& session, Args args);
Status CommandCountCommand(Session& session, Args args);
Status CommandDocsCommand(Session& session, Args args);
Status CommandGetKeysCommand(Session& session, Args args);
Status CommandInfoCommand(Session& session, Args args);
Status CommandListCommand(Session& session, Args args);

inline constexpr CommandInfo kCommandCommands[] = {
    {.name = "command",
     .arity = -1,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "COMMAND",
     .summary = "describes all commands: arity, flags, key positions",
     .since = "2.8.13",
     .complexity = "O(N), N being the number of commands",
     .handler = RunCommand<CommandCommand>},
    {.name = "command|count",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "COMMAND COUNT",
     .summary = "returns how many commands there are",
     .since = "2.8.13",
     .complexity = "O(1)",
     .handler = RunCommand<CommandCountCommand>},
    {.name = "command|docs",
     .arity = -2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "COMMAND DOCS [command-name ...]",
     .summary = "returns summary, group and arguments of commands, or of all",
     .since = "7.0.0",
     .complexity = "O(N), N being the number of commands",
     .handler = RunCommand<CommandDocsCommand>},
    {.name = "command|getkeys",
     .arity = -3,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "COMMAND GETKEYS command [argument ...]",
     .summary = "returns which of a command's arguments are keys",
     .since = "2.8.13",
     .complexity = "O(N), N being the number of arguments",
     .handler = RunCommand<CommandGetKeysCommand>},
    {.name = "command|help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "COMMAND HELP",
     .summary = "says what the sub-commands are",
     .since = "5.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<ContainerHelpCommand>},
    {.name = "command|info",
     .arity = -2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "COMMAND INFO [command-name ...]",
     .summary = "describes these commands, or all: arity, flags, key positions",
     .since = "2.8.13",
     .complexity = "O(N), N being the number of commands",
     .handler = RunCommand<CommandInfoCommand>},
    {.name = "command|list",
     .arity = -2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "COMMAND LIST [FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
     .summary = "returns the names of the commands",
     .since = "7.0.0",
     .complexity = "O(N), N being the number of commands",
     .handler = RunCommand<CommandListCommand>},
};

}  // namespace warren
