// On which processors may the lab run, and which process gets which?
#pragma once

#include <vector>

namespace warren::ipc {

// The processors that this process may use, ascending; as it was at the first call.
const std::vector<int>& AllowedCpus();

// Keeps the calling process on the processor for member `index`: the allowed ones in turn. False
// where the system refuses; then it runs wherever it is put.
bool PinMember(int index);

// More processes that run at once than processors: such a figure measures the scheduler.
inline bool Oversubscribed(int processes) {
  return processes > static_cast<int>(AllowedCpus().size());
}

}  // namespace warren::ipc
