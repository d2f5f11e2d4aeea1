// A child is gone: can the server go on?
//
// The one place where that is decided. One that has ended in order has given back all it had: its
// slot is freed. One that was killed between two instructions has changed nothing but what its slot
// and its locks say: the process monitor makes that whole and clears the slot, and nobody else
// notices; so it is with an abort that the process declared clean. One that was wild may have
// written anywhere: then all processes are stopped, and so they are when too many die in the middle
// of something, because whatever kills them is not understood.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "base/ids.h"
#include "conf/settings.h"
#include "postmaster/wait_status.h"

namespace warren {

struct DeathFacts {
  DeathClass death = DeathClass::kOrderly;
  bool ended = false;          // the slot says so, and of no commit to be finished
  bool holds_locks = false;    // LWLocks, or was about to acquire or release one
  bool changes_pages = false;  // its mini-transaction is armed

  bool unfinished() const { return holds_locks || changes_pages; }
};

enum class CrashVerdict : uint8_t { kFreeSlot, kRepair, kStopServer };

CrashVerdict JudgeDeath(const DeathFacts& facts, CrashContainment containment);

// An abort of which the slot's process said before that it had damaged nothing
// (ProcArray::AbortDeclaredClean).
bool DeclaredClean(SlotIndex slot, int wait_status);

// Reads what the slot says about its dead process, which must have been reaped.
DeathFacts ExamineDead(SlotIndex slot, int wait_status);

// "holding buffer_content 17 exclusive; changing pages" or "holding nothing".
std::string DescribeHoldings(SlotIndex slot);

// Against a cause that repairs don't reach: too many deaths in the middle of something.
class DeathBreaker {
 public:
  // After one more of them: are there at most `most` within the last `window_ms`? (0: always.)
  bool MayGoOn(int64_t now_ms, uint32_t most, int64_t window_ms);

 private:
  std::deque<int64_t> deaths_ms_;
};

// Against a repair that ends whoever tries it: the second death in the same one is the last.
class RepairBreaker {
 public:
  // After a death of the process monitor in the middle of clearing `dead` away (0: of nothing).
  bool MayTryAgain(PackedOwner dead);

 private:
  PackedOwner failed_once_ = 0;
};

}  // namespace warren
