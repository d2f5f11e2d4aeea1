// Which commands set or show when a key expires?
//
// Times are kept as milliseconds since 1970 (UTC). A key given a time that is past is removed at
// once.
#pragma once

#include "backend/command.h"
#include "backend/keyspace.h"

namespace warren {

Status ExpireCommand(Session& session, Args args);
Status ExpireAtCommand(Session& session, Args args);
Status ExpireTimeCommand(Session& session, Args args);
Status PersistCommand(Session& session, Args args);
Status PExpireCommand(Session& session, Args args);
Status PExpireAtCommand(Session& session, Args args);
Status PExpireTimeCommand(Session& session, Args args);
Status PTtlCommand(Session& session, Args args);
Status TtlCommand(Session& session, Args args);

inline constexpr CommandInfo kExpireCommands[] = {
    {.name = "expire",
     .arity = -3,
     .flags = kWrite | kFast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "generic",
     .syntax = "EXPIRE key seconds [NX|XX|GT|LT]",
     .summary = "lets a key expire after some seconds",
     .since = "1.0.0",
     .complexity = "O(log N)",
     .handler = RunCommand<ExpireCommand>},
    {.name = "expireat",
     .arity = -3,
     .flags = kWrite | kFast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "generic",
     .syntax = "EXPIREAT key unix-time-seconds [NX|XX|GT|LT]",
     .summary = "lets a key expire at a time",
     .since = "1.2.0",
     .complexity = "O(log N)",
     .handler = RunCommand<ExpireAtCommand>},
    {.name = "expiretime",
     .arity = 2,
     .flags = kReadOnly | kFast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "generic",
     .syntax = "EXPIRETIME key",
     .summary =
         "returns when a key expires as seconds since 1970, -1 if never, -2 if there is no key",
     .since = "7.0.0",
     .complexity = "O(log N)",
     .handler = RunCommand<ExpireTimeCommand>},
    {.name = "persist",
     .arity = 2,
     .flags = kWrite | kFast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "generic",
     .syntax = "PERSIST key",
     .summary = "takes the expiry away from a key",
     .since = "2.2.0",
     .complexity = "O(log N)",
     .handler = RunCommand<PersistCommand>},
    {.name = "pexpire",
     .arity = -3,
     .flags = kWrite | kFast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "generic",
     .syntax = "PEXPIRE key milliseconds [NX|XX|GT|LT]",
     .summary = "lets a key expire after some milliseconds",
     .since = "2.6.0",
     .complexity = "O(log N)",
     .handler = RunCommand<PExpireCommand>},
    {.name = "pexpireat",
     .arity = -3,
     .flags = kWrite | kFast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "generic",
     .syntax = "PEXPIREAT key unix-time-milliseconds [NX|XX|GT|LT]",
     .summary = "lets a key expire at a time",
     .since = "2.6.0",
     .complexity = "O(log N)",
     .handler = RunCommand<PExpireAtCommand>},
    {.name = "pexpiretime",
     .arity = 2,
     .flags = kReadOnly | kFast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "generic",
     .syntax = "PEXPIRETIME key",
     .summary = "returns when a key expires as milliseconds since 1970, -1 if never, -2 if there "
                "is no key",
     .since = "7.0.0",
     .complexity = "O(log N)",
     .handler = RunCommand<PExpireTimeCommand>},
    {.name = "pttl",
     .arity = 2,
     .flags = kReadOnly | kFast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "generic",
     .syntax = "PTTL key",
     .summary = "returns how many milliseconds a key has left, -1 if it does not expire, -2 if "
                "there is no key",
     .since = "2.6.0",
     .complexity = "O(log N)",
     .handler = RunCommand<PTtlCommand>},
    {.name = "ttl",
     .arity = 2,
     .flags = kReadOnly | kFast,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "generic",
     .syntax = "TTL key",
     .summary =
         "returns how many seconds a key has left, -1 if it does not expire, -2 if there is no key",
     .since = "1.0.0",
     .complexity = "O(log N)",
     .handler = RunCommand<TtlCommand>},
};

}  // namespace warren
