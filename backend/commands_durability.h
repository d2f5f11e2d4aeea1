// Which commands say when changes are safe?
//
// CHECKPOINT, SAVE, BGSAVE, LASTSAVE: checkpoints (storage/checkpoint.h). WAITAOF: the log. SESSION
// SET: what one connection has otherwise.
#pragma once

#include "backend/command.h"
#include "backend/container_help.h"
#include "backend/keyspace.h"

namespace warren {

// Asks for a checkpoint and waits until one that began afterwards is complete. kIo: it failed.
Status MakeCheckpoint(Session& session);

Status BgsaveCommand(Session& session, Args args);
Status CheckpointCommand(Session& session, Args args);
Status LastsaveCommand(Session& session, Args args);
Status SessionGetCommand(Session& session, Args args);
Status SessionSetCommand(Session& session, Args args);
Status WaitaofCommand(Session& session, Args args);

inline constexpr CommandInfo kDurabilityCommands[] = {
    {.name = "bgrewriteaof",
     .arity = 1,
     .flags = kAdmin | kDangerous | kNoScript | kNoAsyncLoading,
     .group = "server",
     .syntax = "BGREWRITEAOF",
     .summary = "asks for a checkpoint, after which the log before it is not needed any more",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<BgsaveCommand>,
     .not_in_transaction = "a checkpoint is of the whole server"},
    {.name = "bgsave",
     .arity = -1,
     .flags = kAdmin | kDangerous | kNoScript | kNoAsyncLoading,
     .group = "server",
     .syntax = "BGSAVE [SCHEDULE]",
     .summary = "asks for a checkpoint and does not wait for it",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<BgsaveCommand>,
     .not_in_transaction = "a checkpoint is of the whole server"},
    {.name = "checkpoint",
     .arity = 1,
     .flags = kAdmin | kDangerous | kNoScript | kNoMulti,
     .group = "server",
     .syntax = "CHECKPOINT",
     .summary = "writes all changed pages to the data file and waits for that",
     .since = "warren 0.1",
     .complexity = "O(N), N being the number of dirty pages",
     .handler = RunCommand<CheckpointCommand>,
     .not_in_transaction = "it waits for other processes while locks are held"},
    {.name = "lastsave",
     .arity = 1,
     .flags = kFast | kLoading | kStale,
     .group = "server",
     .syntax = "LASTSAVE",
     .summary = "returns when the last complete checkpoint ended, in seconds since 1970",
     .since = "1.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<LastsaveCommand>},
    {.name = "save",
     .arity = 1,
     .flags = kAdmin | kDangerous | kNoScript | kNoAsyncLoading | kNoMulti,
     .group = "server",
     .syntax = "SAVE",
     .summary = "the same as CHECKPOINT; other clients go on",
     .since = "1.0.0",
     .complexity = "O(N), N being the number of dirty pages",
     .handler = RunCommand<CheckpointCommand>,
     .not_in_transaction = "it waits for other processes while locks are held"},
    {.name = "session",
     .arity = -2,
     .group = "connection",
     .syntax = "SESSION subcommand",
     .summary = "settings of this connection alone",
     .since = "warren 0.1",
     .complexity = "O(1)"},
    {.name = "session|get",
     .arity = 3,
     .flags = kFast | kNoScript,
     .group = "connection",
     .syntax = "SESSION GET name",
     .summary = "returns a setting as it is in force for this connection: synchronous_commit, "
                "lock_timeout, deadlock_timeout",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<SessionGetCommand>},
    {.name = "session|help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "connection",
     .syntax = "SESSION HELP",
     .summary = "says what the sub-commands are",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<ContainerHelpCommand>},
    {.name = "session|set",
     .arity = 4,
     .flags = kFast | kNoScript,
     .group = "connection",
     .syntax = "SESSION SET name value",
     .summary =
         "changes synchronous_commit, lock_timeout or deadlock_timeout for this connection, until "
         "it ends or RESET; default: as the server has it",
     .since = "warren 0.1",
     .complexity = "O(1)",
     .handler = RunCommand<SessionSetCommand>},
    {.name = "waitaof",
     .arity = 4,
     .flags = kNoScript | kNoMulti,
     .group = "generic",
     .syntax = "WAITAOF numlocal numreplicas timeout",
     .summary =
         "returns once this connection's changes are durable here (1) and on replicas (always 0)",
     .since = "7.2.0",
     .complexity = "O(1)",
     .handler = RunCommand<WaitaofCommand>,
     .not_in_transaction = "its changes reach the log with COMMIT"},
};

}  // namespace warren
