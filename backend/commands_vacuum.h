// Which command asks for what nobody uses any more to be removed now?
//
// VACUUM: the vacuum process goes through everything at full speed (postmaster/vacuum.h).
#pragma once

#include "backend/command.h"
#include "backend/keyspace.h"

namespace warren {

Status VacuumCommand(Session& session, Args args);

inline constexpr CommandInfo kVacuumCommands[] = {
    {.name = "vacuum",
     .arity = 1,
     .flags = kAdmin | kDangerous | kNoScript | kNoMulti,
     .group = "server",
     .syntax = "VACUUM",
     .summary = "removes all expired keys, frees pages and cuts the file's free end off",
     .since = "warren 0.1",
     .complexity = "O(N), N being the number of keys",
     .handler = RunCommand<VacuumCommand>,
     .not_in_transaction = "it waits for other processes while locks are held"},
};

}  // namespace warren
