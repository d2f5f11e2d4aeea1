// Which commands make several others one change?
//
// Between MULTI and EXEC commands are queued (multi_queue.h); EXEC runs them as one batch
// (batch.h). WATCH makes EXEC do nothing if a key has changed since (watch_list.h).
#pragma once

#include "backend/command.h"
#include "backend/keyspace.h"

namespace warren {

Status DiscardCommand(Session& session, Args args);
Status ExecCommand(Session& session, Args args);
Status MultiCommand(Session& session, Args args);
Status UnwatchCommand(Session& session, Args args);
Status WatchCommand(Session& session, Args args);

inline constexpr CommandInfo kMultiCommands[] = {
    {.name = "discard",
     .arity = 1,
     .flags = kNoScript | kFast | kLoading | kStale | kAllowBusy | kNotQueued,
     .group = "transactions",
     .syntax = "DISCARD",
     .summary = "forgets the commands queued since MULTI, and the watched keys",
     .since = "2.0.0",
     .complexity = "O(N), N being the number of queued commands",
     .handler = RunCommand<DiscardCommand>},
    {.name = "exec",
     .arity = 1,
     .flags = kNoScript | kLoading | kStale | kSkipSlowlog | kNotQueued,
     .group = "transactions",
     .syntax = "EXEC",
     .summary = "runs the commands queued since MULTI as one change that others see whole or not "
                "at all, and returns their replies; null, and nothing is done, if a watched key "
                "has changed",
     .since = "1.2.0",
     .complexity = "that of the commands",
     .handler = RunCommand<ExecCommand>},
    {.name = "multi",
     .arity = 1,
     .flags = kNoScript | kFast | kLoading | kStale | kAllowBusy | kNotQueued,
     .group = "transactions",
     .syntax = "MULTI",
     .summary = "queues the commands that follow, until EXEC",
     .since = "1.2.0",
     .complexity = "O(1)",
     .handler = RunCommand<MultiCommand>,
     .not_in_transaction = "its commands are one change already"},
    {.name = "unwatch",
     .arity = 1,
     .flags = kNoScript | kFast | kLoading | kStale | kAllowBusy,
     .group = "transactions",
     .syntax = "UNWATCH",
     .summary = "forgets the watched keys",
     .since = "2.2.0",
     .complexity = "O(N), N being the number of watched keys",
     .handler = RunCommand<UnwatchCommand>},
    {.name = "watch",
     .arity = -2,
     .flags = kNoScript | kFast | kLoading | kStale | kAllowBusy | kNotQueued,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1,
     .group = "transactions",
     .syntax = "WATCH key [key ...]",
     .summary = "makes the next EXEC do nothing if one of the keys is changed before it, by "
                "whomever",
     .since = "2.2.0",
     .complexity = "O(M log N), M being the number of keys",
     .handler = RunCommand<WatchCommand>,
     .not_in_transaction = "what it reads is locked until its end"},
};

}  // namespace warren
