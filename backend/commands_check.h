// Which command says whether the store is as it should be?
//
// CHECK: what can be seen to be wrong while clients are at work (storage/live_check.h).
#pragma once

#include "backend/command.h"
#include "backend/keyspace.h"

namespace warren {

Status CheckCommand(Session& session, Args args);

inline constexpr CommandInfo kCheckCommands[] = {
    {.name = "check",
     .arity = 1,
     .flags = kAdmin | kDangerous | kNoScript | kNoMulti,
     .group = "server",
     .syntax = "CHECK",
     .summary = "looks for damage in data file, log and control file while clients go on",
     .since = "warren 0.1",
     .complexity = "O(N), N being the number of pages and of bytes in the log",
     .handler = RunCommand<CheckCommand>,
     .not_in_transaction = "it waits for other processes while locks are held"},
};

}  // namespace warren
