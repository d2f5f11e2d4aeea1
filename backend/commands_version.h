// Which commands change a key only if nobody has changed it since it was read?
//
// A key's version grows with every write of it, also over its removal and a restart; it is taken
// from the log, so that it says nothing about how many writes there were.
#pragma once

#include "backend/command.h"
#include "backend/keyspace.h"

namespace warren {

Status GetVCommand(Session& session, Args args);
Status SetVCommand(Session& session, Args args);

inline constexpr CommandInfo kVersionCommands[] = {
    {.name = "getv",
     .arity = 2,
     .flags = kReadOnly | kFast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "string",
     .syntax = "GETV key",
     .summary = "returns the value and the key's version, for SETV; null if there is no key; the "
                "version is null if the value is one of the transaction's own",
     .since = "warren 0.1",
     .complexity = "O(log N)",
     .handler = RunCommand<GetVCommand>},
    {.name = "setv",
     .arity = -4,
     .flags = kWrite | kDenyOom | kFast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "string",
     .syntax = "SETV key version value [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT "
               "unix-time-milliseconds|KEEPTTL]",
     .summary = "sets the key if it still has the version that GETV returned, or if the version is "
                "0 and there is no key: 1, else 0",
     .since = "warren 0.1",
     .complexity = "O(log N)",
     .handler = RunCommand<SetVCommand>},
};

}  // namespace warren
