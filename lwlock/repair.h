// What becomes of the locks of a process that died?
//
// Phase 1 of the repair (README.md): acquires no lock and waits for nothing, so that the repairs of
// two processes that waited for each other's locks cannot wait for each other.
#pragma once

#include <string>

#include "lwlock/lwlock.h"

namespace warren {

// Makes what `lock` guards whole again. Called while the dead owner's mark still keeps everybody
// out; may acquire nothing, wait for nothing, and is called again if the repairer dies in it.
using RepairFunction = void (*)(LWLock& lock) noexcept;

// Registers the repair of a tranche; process-private, so called before the first fork. A tranche
// without one falls back to the full restart when its holder dies in the middle of a change.
void RegisterRepair(TrancheId tranche, RepairFunction repair);
RepairFunction GetRepair(TrancheId tranche);

// Of a lock with an exclusive owner, dead or alive.
inline SlotIndex OwnerSlot(const LWLock& lock) {
  return (lock.word.load() & LWLock::kOwnerMask) - 1;
}

// Was the dead process of `slot` inside `lock` as its owner? While its acquire or release is
// pending it was not: nothing is half done there.
bool DiedInside(const LockProc& dead, const LWLock& lock, SlotIndex slot);

// The first lock that the dead process owned and that cannot be repaired; null if there is none.
const LWLock* FindUnrepairable(const LockProc& dead, SlotIndex slot);

// Takes away everything the dead process of `slot` holds or was acquiring or releasing, repairing
// what it held exclusively, and wakes whoever may have waited. The process must have been reaped:
// no store of it can still come. Returns false, nothing changed, if a lock was held exclusively
// that cannot be repaired. Idempotent.
bool ReleaseLocksOfDead(const LockSpace& space, LockProc& dead, SlotIndex slot);

// One line per lock that `proc` holds or waits for, for log lines: "buffer_mapping 17 exclusive,
// ...".
std::string DescribeLocks(const LockProc& proc);

}  // namespace warren
