// Which commands make several commands one, with a client that thinks in between?
//
// BEGIN ... COMMIT or ROLLBACK, savepoints, GETLOCK. Everything inside: transaction.h.
#pragma once

#include "backend/command.h"
#include "backend/keyspace.h"

namespace warren {

Status BeginCommand(Session& session, Args args);
Status CommitCommand(Session& session, Args args);
Status GetLockCommand(Session& session, Args args);
Status ReleaseCommand(Session& session, Args args);
Status RollbackCommand(Session& session, Args args);
Status SavepointCommand(Session& session, Args args);

inline constexpr CommandInfo kTransactionCommands[] = {
    {.name = "begin",
     .arity = -1,
     .flags = kFast | kNoScript | kNoMulti,
     .group = "transactions",
     .syntax = "BEGIN [READ ONLY|WRITE] [ISOLATION <SERIALIZABLE | READ COMMITTED>]",
     .summary = "begins a transaction: what follows up to COMMIT is seen by others as one change, "
                "or, with ROLLBACK, never; READ COMMITTED locks only what is written",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<BeginCommand>,
     .not_in_transaction = "there is one already, SAVEPOINT makes parts of it"},
    {.name = "commit",
     .arity = 1,
     .flags = kNoScript | kNoMulti | kWhileAborted,
     .group = "transactions",
     .syntax = "COMMIT",
     .summary = "makes the changes of the transaction, all or none, and lets its locks go",
     .since = "warren 0.1",
     .complexity = "O(M log N) for M keys changed",
     .handler = RunCommand<CommitCommand>},
    {.name = "getlock",
     .arity = 2,
     .flags = kWrite | kFast | kNoScript | kNoMulti,
     .first_key = 1,
     .last_key = 1,
     .key_step = 1,
     .group = "transactions",
     .syntax = "GETLOCK key",
     .summary = "returns the value of a key and locks the key as for writing, there or not, until "
                "the transaction ends: SELECT ... FOR UPDATE",
     .since = "warren 0.1",
     .complexity = "O(log N)",
     .handler = RunCommand<GetLockCommand>},
    {.name = "release",
     .arity = -2,
     .flags = kFast | kNoScript | kNoMulti,
     .group = "transactions",
     .syntax = "RELEASE [SAVEPOINT] name",
     .summary = "forgets a savepoint and those after it; what was changed stays",
     .since = "warren 0.1",
     .complexity = "O(M) for M keys changed since",
     .handler = RunCommand<ReleaseCommand>},
    {.name = "rollback",
     .arity = -1,
     .flags = kNoScript | kNoMulti | kWhileAborted,
     .group = "transactions",
     .syntax = "ROLLBACK [TO [SAVEPOINT] name]",
     .summary = "forgets the changes of the transaction and lets its locks go; with TO, forgets "
                "what was changed since the savepoint, which stays, as do the locks",
     .since = "warren 0.1",
     .complexity = "O(M) for M keys changed",
     .handler = RunCommand<RollbackCommand>},
    {.name = "savepoint",
     .arity = 2,
     .flags = kFast | kNoScript | kNoMulti,
     .group = "transactions",
     .syntax = "SAVEPOINT name",
     .summary =
         "names this moment of the transaction, for ROLLBACK TO; the newest of a name counts",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<SavepointCommand>},
};

}  // namespace warren
