// Which commands walk over many keys?
#pragma once

#include "backend/command.h"
#include "backend/keyspace.h"

namespace warren {

Status KeysCommand(Session& session, Args args);
Status RangeCommand(Session& session, Args args);
Status ScanCommand(Session& session, Args args);

inline constexpr CommandInfo kScanCommands[] = {
    {.name = "keys",
     .arity = 2,
     .flags = kReadOnly | kDangerous,
     .group = "generic",
     .syntax = "KEYS pattern",
     .summary = "returns the keys that match a glob pattern, in key order",
     .since = "1.0.0",
     .complexity = "O(N), or O(M) for the M keys that begin as the pattern does",
     .handler = RunCommand<KeysCommand>,
     .locks = WantWholeDatabase},
    {.name = "range",
     .arity = -3,
     .flags = kReadOnly,
     .group = "generic",
     .syntax = "RANGE start end [LIMIT count] [REVERSE] [KEYS|WITHVALUES]",
     .summary =
         "returns the keys from start to end in bytewise key order, with their values if wanted; a "
         "bound is a key, included, or (key, left out, or - and + for the first and last key; [key "
         "is a key that begins with one of these signs; REVERSE goes from end down to start",
     .since = "warren 0.1",
     .complexity = "O(log N + M) for M keys",
     .handler = RunCommand<RangeCommand>,
     .locks = WantWholeDatabase},
    {.name = "scan",
     .arity = -2,
     .flags = kReadOnly,
     .group = "generic",
     .syntax = "SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]",
     .summary = "returns some keys and a cursor to go on with, 0 at the end; keys there all the "
                "time are returned at least once, and any connection can go on",
     .since = "2.8.0",
     .complexity = "O(log N + count) for each call",
     .handler = RunCommand<ScanCommand>,
     .locks = WantWholeDatabase},
};

}  // namespace warren
