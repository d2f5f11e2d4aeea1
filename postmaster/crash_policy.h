// A child is gone: can the server go on?
//
// The one place where that is decided. One that has ended in order has given back all it had: its
// slot is freed. One that died between two steps has left shared memory whole, but is still named
// as the owner of this and that: the process monitor clears it away. One that held an LWLock, was
// acquiring or releasing one, or was changing pages has left shared memory in the middle of
// something; one that was wild may have written anywhere. Then all processes are stopped.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "postmaster/wait_status.h"

namespace warren {

struct DeathFacts {
  DeathClass death = DeathClass::kOrderly;
  bool ended = false;          // the slot says so, and of no commit to be finished
  bool holds_locks = false;    // LWLocks, or was about to acquire or release one
  bool changes_pages = false;  // its mini-transaction is armed
};

enum class CrashVerdict : uint8_t { kFreeSlot, kRepair, kStopServer };

CrashVerdict JudgeDeath(const DeathFacts& facts);

// Reads what the slot says about its dead process, which must have been reaped.
DeathFacts ExamineDead(SlotIndex slot, int wait_status);

// "holding buffer_content 17 exclusive; changing pages" or "holding nothing".
std::string DescribeHoldings(SlotIndex slot);

// Against a repair that ends whoever tries it: the second death in the same one is the last.
class RepairBreaker {
 public:
  // After a death of the process monitor in the middle of clearing `dead` away (0: of nothing).
  bool MayTryAgain(PackedOwner dead);

 private:
  PackedOwner failed_once_ = 0;
};

}  // namespace warren
