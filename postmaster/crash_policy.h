// A child is gone: can the server go on?
//
// The one place where that is decided. A process that held nothing has left nothing half done: its
// slot is freed. One that held a lock, was acquiring or releasing one, or was changing pages has
// left shared memory in the middle of something; one that was wild may have written anywhere. Then
// all processes are stopped.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "postmaster/wait_status.h"

namespace warren {

struct DeathFacts {
  DeathClass death = DeathClass::kOrderly;
  bool holds_locks = false;    // or was about to acquire or release one
  bool changes_pages = false;  // its mini-transaction is armed
};

enum class CrashVerdict : uint8_t { kFreeSlot, kStopServer };

CrashVerdict JudgeDeath(const DeathFacts& facts);

// Reads what the slot says about its dead process, which must have been reaped.
DeathFacts ExamineDead(SlotIndex slot, int wait_status);

// "holding buffer_content 17 exclusive; changing pages" or "holding nothing".
std::string DescribeHoldings(SlotIndex slot);

}  // namespace warren
