// Who is in this slot, in a few words for a log line?
#pragma once

#include <string>

#include "base/ids.h"

namespace warren {

// "backend 1234, client 7 127.0.0.1:50123, in command "set", stopped" or "checkpointer 1200". Read
// without a lock: of one who comes or goes meanwhile it may be a mixture.
std::string DescribeSlot(SlotIndex slot);

}  // namespace warren
