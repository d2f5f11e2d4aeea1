// Which commands read and change the settings?
#pragma once

#include "backend/command.h"
#include "backend/container_help.h"
#include "backend/keyspace.h"

namespace warren {

Status ConfigGetCommand(Session& session, Args args);
Status ConfigResetStatCommand(Session& session, Args args);
Status ConfigRewriteCommand(Session& session, Args args);
Status ConfigSetCommand(Session& session, Args args);

inline constexpr CommandInfo kConfigCommands[] = {
    {.name = "config",
     .arity = -2,
     .group = "server",
     .syntax = "CONFIG subcommand [argument ...]",
     .summary = "reads and changes the settings",
     .since = "2.0.0",
     .complexity = "depends on the sub-command"},
    {.name = "config|get",
     .arity = -3,
     .flags = kAdmin | kDangerous | kLoading | kStale | kNoScript,
     .group = "server",
     .syntax = "CONFIG GET pattern [pattern ...]",
     .summary = "returns the settings whose names match a pattern",
     .since = "2.0.0",
     .complexity = "O(N), N being the number of settings",
     .handler = RunCommand<ConfigGetCommand>},
    {.name = "config|help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "CONFIG HELP",
     .summary = "says what the sub-commands are",
     .since = "5.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<ContainerHelpCommand>},
    {.name = "config|resetstat",
     .arity = 2,
     .flags = kAdmin | kDangerous | kLoading | kStale | kNoScript,
     .group = "server",
     .syntax = "CONFIG RESETSTAT",
     .summary = "makes all counters of STATS and INFO begin at 0 again",
     .since = "2.0.0",
     .complexity = "O(N), N being the number of process slots",
     .handler = RunCommand<ConfigResetStatCommand>},
    {.name = "config|rewrite",
     .arity = 2,
     .flags = kAdmin | kDangerous | kLoading | kStale | kNoScript,
     .group = "server",
     .syntax = "CONFIG REWRITE",
     .summary = "writes the settings in force to the configuration file, keeping its comments",
     .since = "2.8.0",
     .complexity = "O(N), N being the number of settings",
     .handler = RunCommand<ConfigRewriteCommand>},
    {.name = "config|set",
     .arity = -4,
     .flags = kAdmin | kDangerous | kLoading | kStale | kNoScript | kNoMulti,
     .group = "server",
     .syntax = "CONFIG SET name value [name value ...]",
     .summary = "changes settings, all or none; they are in force in every process when it answers",
     .since = "2.0.0",
     .complexity = "O(N), N being the number of settings",
     .handler = RunCommand<ConfigSetCommand>,
     .not_in_transaction = "settings can not be rolled back"},
};

}  // namespace warren
