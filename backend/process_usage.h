// How much processor time and memory do the server's processes use?
//
// From /proc, because a process's own counters would end with it. Locking: none.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace warren {

struct ProcessUsage {
  uint64_t private_bytes = 0;  // memory that this process alone has
  double user_seconds = 0;
  double system_seconds = 0;
  double children_user_seconds = 0;  // of children that have ended
  double children_system_seconds = 0;
};

// All zero for a process that does not exist.
ProcessUsage UsageOf(pid_t pid);

// Of the postmaster and all its children, ended ones included.
ProcessUsage UsageOfServer();

}  // namespace warren
