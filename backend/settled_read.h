// How does a read that holds no locks see no half of a transaction?
//
// A commit's changes are made one after the other. Whoever reads without locks meanwhile waits
// until all are made: for one key the store says so (kConflict, nothing read), many keys are read
// between two equal, settled CommitStamps (storage/commit.h). A process past its commit point waits
// for no lock of anybody, so these waits can't end in a circle, and they last no longer than
// changes take to be made.
//
// Locking: none held by the caller, no LWLock either.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/function_ref.h"
#include "base/result.h"
#include "shmem/lock_table.h"
#include "storage/store.h"

namespace warren {

// Store::Read, waiting where it has to. `read` is called once. kLockTimeout, kShutdown: as LockWait
// says.
Result<bool> ReadSettled(const LockWait& wait, uint32_t database, std::string_view key,
                         int64_t now_ms, NeedValue need,
                         FunctionRef<void(const Current&, uint64_t value_bytes)> read);

// Calls `read`, which may look at any number of keys of the database, until no commit came in
// between; it starts from scratch each time. If commits never cease, the database is locked against
// writers for the length of one call.
Status ReadUndivided(const LockWait& wait, uint32_t database, FunctionRef<Status()> read);

}  // namespace warren
