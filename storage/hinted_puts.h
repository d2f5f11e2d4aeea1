// How do several small values get into their leaves with one record?
//
// Where the hints (leaf_hint.h) of keys that are put one behind the other lead to different leaves,
// one record is enough for all, and so one place in the log: most of what a change costs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "storage/store.h"

namespace warren {

// Makes the first of the puts, of values that need no chain, and those behind it that go with it
// into one record: for other leaves, each of which a hint leads to and nobody has locked. How many;
// 0: not even the first can be made without a search, or (kLook) without waiting for a lock of
// somebody else. An error: none is made. Only the first leaf is waited for, holding nothing: the
// order of the others, and who else wants them, does not matter.
//
// Locking: no LWLock is held; within an Operation.
Result<size_t> PutByHints(uint32_t database, std::span<const KeyPut> puts, int64_t now_ms,
                          LockLook look);

}  // namespace warren
