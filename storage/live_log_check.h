// Are the log and the control file of a running server as they should be? (live_check.h)
#pragma once

#include "storage/live_check.h"

namespace warren {

// Positions, the control file, and every record from the redo point to the durable end.
Status CheckRunningLog(LiveReport& report, FunctionRef<bool()> keep_going);

}  // namespace warren
