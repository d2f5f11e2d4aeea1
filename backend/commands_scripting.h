// What is said to clients that ask for scripts and functions, of which there are none?
#pragma once

#include "backend/command.h"
#include "backend/container_help.h"
#include "backend/keyspace.h"

namespace warren {

Status FunctionFlushCommand(Session& session, Args args);
Status FunctionListCommand(Session& session, Args args);
Status ScriptExistsCommand(Session& session, Args args);
Status ScriptFlushCommand(Session& session, Args args);

inline constexpr CommandInfo kScriptingCommands[] = {
    {.name = "function",
     .arity = -2,
     .group = "scripting",
     .syntax = "FUNCTION subcommand [argument ...]",
     .summary = "there are no functions here",
     .since = "7.0.0",
     .complexity = "O(1)"},
    {.name = "function|flush",
     .arity = -2,
     .flags = kNoScript,
     .group = "scripting",
     .syntax = "FUNCTION FLUSH [ASYNC|SYNC]",
     .summary = "removes all functions, of which there are none",
     .since = "7.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<FunctionFlushCommand>},
    {.name = "function|help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "scripting",
     .syntax = "FUNCTION HELP",
     .summary = "says what the sub-commands are",
     .since = "7.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<ContainerHelpCommand>},
    {.name = "function|list",
     .arity = -2,
     .flags = kNoScript,
     .group = "scripting",
     .syntax = "FUNCTION LIST [LIBRARYNAME library-name-pattern] [WITHCODE]",
     .summary = "returns an empty list",
     .since = "7.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<FunctionListCommand>},
    {.name = "script",
     .arity = -2,
     .group = "scripting",
     .syntax = "SCRIPT subcommand [argument ...]",
     .summary = "there are no scripts here",
     .since = "2.6.0",
     .complexity = "O(1)"},
    {.name = "script|exists",
     .arity = -3,
     .flags = kNoScript,
     .group = "scripting",
     .syntax = "SCRIPT EXISTS sha1 [sha1 ...]",
     .summary = "returns 0 for each",
     .since = "2.6.0",
     .complexity = "O(N), N being the number of arguments",
     .handler = RunCommand<ScriptExistsCommand>},
    {.name = "script|flush",
     .arity = -2,
     .flags = kNoScript,
     .group = "scripting",
     .syntax = "SCRIPT FLUSH [ASYNC|SYNC]",
     .summary = "removes all scripts, of which there are none",
     .since = "2.6.0",
     .complexity = "O(1)",
     .handler = RunCommand<ScriptFlushCommand>},
    {.name = "script|help",
     .arity = 2,
     .flags = kLoading | kStale,
     .group = "scripting",
     .syntax = "SCRIPT HELP",
     .summary = "says what the sub-commands are",
     .since = "5.0.0",
     .complexity = "O(1)",
     .handler = RunCommand<ContainerHelpCommand>},
};

}  // namespace warren
