// Which commands show and steer the server as a whole?
//
// Settings: commands_config.h; descriptions of commands: commands_command.h; INFO's text: info.h.
#pragma once

#include "backend/command.h"
#include "backend/container_help.h"
#include "backend/keyspace.h"

namespace warren {

Status AclWhoAmICommand(Session& session, Args args);
Status DebugSleepCommand(Session& session, Args args);
Status InfoCommand(Session& session, Args args);
Status MemorySegmentCommand(Session& session, Args args);
Status RoleCommand(Session& session, Args args);
Status ShutdownCommand(Session& session, Args args);
Status StatsCommand(Session& session, Args args);
Status TimeCommand(Session& session, Args args);

inline constexpr CommandInfo kServerCommands[] = {
    {.name = "acl",
     .arity = -2,
     .group = "server",
     .syntax = "ACL subcommand",
     .summary = "there is one user, \"default\", who may do everything",
     .since = "6.0.0",
     .complexity = "O(1)"},
    {.name = "acl|help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "ACL HELP",
     .summary = "says what the sub-commands are",
     .since = "6.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<ContainerHelpCommand>},
    {.name = "acl|whoami",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "ACL WHOAMI",
     .summary = "returns the user of this connection: \"default\"",
     .since = "6.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<AclWhoAmICommand>},
    {.name = "debug",
     .arity = -2,
     .group = "server",
     .syntax = "DEBUG subcommand [argument]",
     .summary = "helps to test clients",
     .since = "1.0.0",
     .complexity = "depends on the sub-command"},
    {.name = "debug|help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "DEBUG HELP",
     .summary = "says what the sub-commands are",
     .since = "5.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<ContainerHelpCommand>},
    {.name = "debug|sleep",
     .arity = 3,
     .flags = kAdmin | kDangerous | kLoading | kStale,
     .group = "server",
     .syntax = "DEBUG SLEEP seconds",
     .summary = "answers after so many seconds; only this connection waits",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<DebugSleepCommand>},
    {.name = "info",
     .arity = -1,
     .flags = kDangerous | kLoading | kStale,
     .group = "server",
     .syntax = "INFO [section [section ...]]",
     .summary =
         "returns figures about the server; sections: server, clients, memory, persistence, "
         "archive, "
         "stats, replication, cpu, commandstats, errorstats, cluster, keyspace; default, all, "
         "everything",
     .since = "1.0.0",
     .complexity = "O(N), N being the number of process slots",
     .handler = RunCommand<InfoCommand>},
    {.name = "memory",
     .arity = -2,
     .group = "server",
     .syntax = "MEMORY subcommand",
     .summary = "shows what memory is used for",
     .since = "4.0.0",
     .complexity = "depends on the sub-command"},
    {.name = "memory|help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "MEMORY HELP",
     .summary = "says what the sub-commands are",
     .since = "4.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<ContainerHelpCommand>},
    {.name = "memory|segment",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "MEMORY SEGMENT",
     .summary = "lists the structures in shared memory: name, offset, bytes, what for",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<MemorySegmentCommand>},
    {.name = "role",
     .arity = 1,
     .flags = kAdmin | kDangerous | kFast | kLoading | kStale,
     .group = "server",
     .syntax = "ROLE",
     .summary = "returns that this server is a master without replicas",
     .since = "2.8.12",
     .complexity = "O(1)",
     .handler = RunCommand<RoleCommand>},
    {.name = "shutdown",
     .arity = -1,
     .flags = kAdmin | kDangerous | kLoading | kStale | kAllowBusy,
     .group = "server",
     .syntax = "SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]",
     .summary = "ends all sessions, writes everything to disk and stops the server; NOSAVE writes "
                "everything too",
     .since = "1.0.0",
     .complexity = "O(N), N being the number of dirty pages",
     .handler = RunCommand<ShutdownCommand>},
    {.name = "stats",
     .arity = -1,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "STATS [pattern]",
     .summary = "returns every counter of the server whose name matches",
     .since = "warren 0.1",
     .complexity = "O(N), N being the number of process slots",
     .handler = RunCommand<StatsCommand>},
    {.name = "time",
     .arity = 1,
     .flags = kFast | kLoading | kStale,
     .group = "server",
     .syntax = "TIME",
     .summary = "returns the server's clock as seconds since 1970 and microseconds",
     .since = "2.6.0",
     .complexity = "O(1)",
     .handler = RunCommand<TimeCommand>},
};

}  // namespace warren
