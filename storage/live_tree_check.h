// Are the trees and the allocation map of a running server as they should be? (live_check.h)
#pragma once

#include "storage/live_check.h"

namespace warren {

// Every level of every tree, by its right links.
Status CheckRunningTrees(LiveReport& report, FunctionRef<bool()> keep_going);

// Each map page by itself, and each pending page.
Status CheckRunningMap(LiveReport& report, FunctionRef<bool()> keep_going);

}  // namespace warren
