// How is one change of a commit made, the first time or once more?
//
// In the ordinary way: one record for the cell, splits and the rest as they come. May be repeated:
// a chain that is linked already stays linked, a database that was emptied stays as it is.
//
// Locking: no LWLock is held; who asks holds the lock table's locks, or is alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "storage/commit_record.h"

namespace warren {

// kCorrupt, kIo, kNoSpace, kBusy: the change is not made.
Status MakeChange(const LoggedChange& change, int64_t now_ms);

// Makes the first of the changes, and those behind it that go with it into one record: small values
// for other leaves, each of which a hint leads to and nobody has locked. Returns how many. An error
// as above: none is made.
Result<size_t> MakeChanges(std::span<const LoggedChange> changes, int64_t now_ms);

}  // namespace warren
