// Which commands make processes die, hang or fail on purpose?
//
// With fault_points on; what is set stands in shmem/fault_table.h.
#pragma once

#include "backend/command.h"
#include "backend/container_help.h"
#include "backend/keyspace.h"

namespace warren {

Status FaultClearCommand(Session& session, Args args);
Status FaultListCommand(Session& session, Args args);
Status FaultSetCommand(Session& session, Args args);

inline constexpr CommandInfo kFaultCommands[] = {
    {.name = "fault",
     .arity = -2,
     .group = "server",
     .syntax = "FAULT subcommand [argument ...]",
     .summary = "makes processes die, hang or fail at named points, for tests and study",
     .since = "warren 0.1",
     .complexity = "depends on the sub-command"},
    {.name = "fault|clear",
     .arity = -2,
     .flags = kAdmin | kDangerous | kNoScript | kNoMulti,
     .group = "server",
     .syntax = "FAULT CLEAR [point]",
     .summary = "makes the point, or all of them, do nothing again; returns how many were set",
     .since = "warren 0.1",
     .complexity = "O(N), N being the number of points",
     .handler = RunCommand<FaultClearCommand>},
    {.name = "fault|help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "server",
     .syntax = "FAULT HELP",
     .summary = "says what the sub-commands are",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<ContainerHelpCommand>},
    {.name = "fault|list",
     .arity = -2,
     .flags = kAdmin | kDangerous | kNoScript,
     .group = "server",
     .syntax = "FAULT LIST [pattern]",
     .summary = "returns for each point: what is set, how often processes came by, how often it "
                "happened since it was set",
     .since = "warren 0.1",
     .complexity = "O(N), N being the number of points",
     .handler = RunCommand<FaultListCommand>},
    {.name = "fault|set",
     .arity = -4,
     .flags = kAdmin | kDangerous | kNoScript | kNoMulti,
     .group = "server",
     .syntax = "FAULT SET point KILL|SEGV|ABORT|HANG|DELAY ms|ERROR [TIMES n] [AFTER n] "
               "[PROBABILITY p] [CLIENT id|pid|kind]",
     .summary = "says what happens to a process that comes to the point, see fault-points.md",
     .since = "warren 0.1",
     .complexity = "O(N), N being the number of process slots",
     .handler = RunCommand<FaultSetCommand>},
};

}  // namespace warren
