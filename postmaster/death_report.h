// What is known about a dead process, for the record of its death (shmem/incident.h)?
//
// Reads what its slot says. Acquires no lock and waits for nothing, unless said otherwise; the
// process has been reaped. What a wild process may have written into its slot is not followed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "shmem/incident.h"
#include "shmem/lock_table.h"

namespace warren {

// Do the entries for its locks point at locks?
bool LocksMakeSense(SlotIndex slot);

// Who died of what, with which LWLocks, in the middle of what. Before anything of it is repaired.
Incident ExamineDeath(SlotIndex slot, int wait_status);

// Nobody died, but all processes are about to be stopped.
Incident ExamineNobody();

// From its reaping until now.
int64_t SinceReapedUs(const Incident& incident);

// Takes over who waits for an LWLock that it has or was about to release.
void NoteLwlockWaits(SlotIndex slot, Incident* incident);

// Takes over what it has in the lock table, and who waits for that.
void NoteLocks(const LockTable::OwnedLocks& locks, Incident* incident);

// One line, without id: "backend 1234, slot 5, client 127.0.0.1:50123, killed by signal 9
// (SIGKILL) ...".
std::string DescribeIncident(const Incident& incident);

}  // namespace warren
