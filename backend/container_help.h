// What does the HELP sub-command of a container say?
#pragma once

#include "backend/keyspace.h"

namespace warren {

// "CONFIG <subcommand> ... Subcommands are:" and, from the command table, each sub-command with its
// summary.
Status ContainerHelpCommand(Session& session, Args args);

}  // namespace warren
