// What does a freshly forked child do before its own work begins?
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/function_ref.h"
#include "base/ids.h"
#include "postmaster/private_descriptors.h"
#include "shmem/proc.h"

namespace warren {

struct ChildContext {
  pid_t postmaster_pid;
  SlotIndex slot;
  ProcessKind kind;
  const std::vector<DescriptorRange>& postmaster_only;
};

// Severs the child from the postmaster's signals and descriptors, gives it its slot, runs `body`
// and ends with its result. Called with all signals blocked; never returns, runs no exit handlers.
[[noreturn]] void RunChild(const ChildContext& context, FunctionRef<int()> body);

}  // namespace warren
