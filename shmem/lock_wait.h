// How does a process sleep until it is granted a lock, and what ends the wait otherwise?
//
//   begins ---> waits ---> granted
//                 |           |
//                 |           | somebody granted it before the waiter could give up
//                 v           |
//           gives up <--------+     kShutdown: gives the grant back
//                                   kLockTimeout, kDeadlock: takes the grant after all
//
// Whoever grants stores the entry's state, then sets the waiter's latch; the waiter clears its
// latch, then looks at the state, then sleeps. A wake-up that a death swallows all the same costs
// one deadlock_timeout: nobody sleeps for longer.
//
// Locking: no LWLock is held by the caller; the partition's is taken for giving up only.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "shmem/lock_queue.h"

namespace warren {

struct LockWaiter {
  LockPlace place;
  const LockTag& tag;
  PackedOwner self;
  EntryIndex entry;
  TxLockMode before;         // what is held if the wait fails
  int64_t expiry_before_us;  // of that
};

// Says that the slot's process waits for `entry` now; `age` != 0: it is that old. Under the entry's
// partition lock.
void BeginLockWait(LockOwner& slot, EntryIndex entry, uint64_t age);

// Until granted, or as LockTable::Lock says.
Status AwaitGrant(const LockWaiter& waiter, LockOwner& slot, const LockWait& wait);

}  // namespace warren
