// Which commands tell what the deaths of processes cost?
//
// See also: shmem/incident_field_list.def, what is told about each; docs/incidents.md.
#pragma once

#include "backend/command.h"
#include "backend/keyspace.h"

namespace warren {

Status IncidentsCommand(Session& session, Args args);

inline constexpr CommandInfo kIncidentCommands[] = {
    {.name = "incidents",
     .arity = -1,
     .flags = kAdmin | kLoading | kStale,
     .group = "server",
     .syntax = "INCIDENTS [count | RESET]",
     .summary = "returns what is known about the newest deaths of processes, 10 unless told "
                "otherwise; RESET forgets all",
     .since = "warren 0.1",
     .complexity = "O(N), N being the number of incidents kept",
     .handler = RunCommand<IncidentsCommand>},
};

}  // namespace warren
