// Who waits for whom in a circle, and who gives way?
//
// Every waiter looks when it has waited for deadlock_timeout, and again after twice as long, and so
// on, unless somebody else has looked meanwhile: one search finds all circles, so that many waiters
// need no more searches than one. The youngest transaction on a circle is its victim; it is told by
// the number of its wait (LockOwner::victim) and looks, under its partition's lock, whether it
// still waits.
//
//   waits for     whoever holds a conflicting mode of the tag, and whoever waits for one and is
//                 further ahead in the queue (lock_queue.h: Blocks)
//
// A circle closes when its last member begins to wait, and that one's first look finds it, whoever
// the victim is: no wait for another one begins when somebody is granted something or gives up.
//
// Locking: a search holds the deadlock lock, then all partitions, shared, in order. Nothing is
// granted meanwhile.
#pragma once

#include <cstdint>
#include <string>

#include "shmem/lock_pool.h"
#include "shmem/lock_table.h"

namespace warren {

// Searches, unless somebody has begun to do so after `since_us` and within the last `every_ms`, or
// is doing so. Returns when the last search began (MonotonicUs), or was tried.
int64_t FindDeadlocks(int64_t since_us, int64_t every_ms);

// Has the present wait of the slot's process been chosen to end?
bool IsVictim(const LockOwner& slot);

// For people: `key "a" of database 0`.
std::string DescribeTag(const LockTag& tag);

}  // namespace warren
