// Which commands lend locks to clients, for purposes of their own?
//
// An advisory lock has a name and locks nothing but that name. It is held by the session or by its
// transaction and let go at the latest when that ends, however it ends. The fencing token of a
// grant is larger than those of all earlier grants, so that whoever the lock protects can refuse a
// former holder that has not noticed yet.
#pragma once

#include "backend/command.h"
#include "backend/keyspace.h"

namespace warren {

Status LockCommand(Session& session, Args args);
Status LocksCommand(Session& session, Args args);
Status TryLockCommand(Session& session, Args args);
Status UnlockCommand(Session& session, Args args);

inline constexpr CommandInfo kLockCommands[] = {
    {.name = "lock",
     .arity = -2,
     .flags = kNoScript | kBlockingFlag | kNoMulti,
     .group = "transactions",
     .syntax = "LOCK name [SHARED] [TIMEOUT milliseconds] [TTL milliseconds] [TRANSACTION]",
     .summary = "waits for the lock of that name and holds it until UNLOCK, the connection's end "
                "or, if so asked, the end of its time or of the transaction; returns the grant's "
                "fencing token, null after the timeout",
     .since = "warren 0.1",
     .complexity = "O(1), and the wait",
     .handler = RunCommand<LockCommand>},
    {.name = "locks",
     .arity = 1,
     .flags = kAdmin | kDangerous | kNoScript,
     .group = "transactions",
     .syntax = "LOCKS",
     .summary = "returns all locks held and waited for, on databases, keys and names: by whom, "
                "since when, and who is in the way",
     .since = "warren 0.1",
     .complexity = "O(N), N being the size of the lock table",
     .handler = RunCommand<LocksCommand>},
    {.name = "trylock",
     .arity = -2,
     .flags = kNoScript | kFast | kNoMulti,
     .group = "transactions",
     .syntax = "TRYLOCK name [SHARED] [TTL milliseconds] [TRANSACTION]",
     .summary = "LOCK that does not wait: null if the lock can't be had at once",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<TryLockCommand>},
    {.name = "unlock",
     .arity = 2,
     .flags = kNoScript | kFast | kNoMulti,
     .group = "transactions",
     .syntax = "UNLOCK name",
     .summary = "gives back what one LOCK or TRYLOCK of this session has taken: 1, or 0 if it "
                "does not hold the lock (any more)",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<UnlockCommand>},
};

}  // namespace warren
