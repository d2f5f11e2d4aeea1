// How is one change of a commit made, the first time or once more?
//
// In the ordinary way: one record for the cell, splits and the rest as they come. May be repeated:
// a chain that is linked already stays linked, a database that was emptied stays as it is.
//
// Locking: no LWLock is held; who asks holds the lock table's locks, or is alone.
#pragma once

#include "base/result.h"
#include "storage/commit_record.h"

namespace warren {

// kCorrupt, kIo, kNoSpace, kBusy: the change is not made.
Status MakeChange(const LoggedChange& change, int64_t now_ms);

}  // namespace warren
