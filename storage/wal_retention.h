// Which log files must stay?
//
// Whoever takes files away asks here. Needed are those from the place on that redo needs (a commit
// under way at the checkpoint, or else the checkpoint's record), as many
// before it as are to be kept, those that a backup under way has still to fetch (Proc::wal_hold),
// and those that are not in the archive yet, when there is one.
#pragma once

#include <cstdint>

#include "base/ids.h"

namespace warren {

// The lowest number of a segment that must stay.
uint64_t OldestSegmentNeeded(Lsn log_begin, uint64_t keep_segments);

}  // namespace warren
