// What did a process that died leave half changed in pages and log, and how is it made whole?
//
// Phase 1 of the repair of a dead process (README.md, "What a death leaves"): acquires no lock and
// waits for nothing, so the repairs of two that died holding what the other waited for need no
// order. Each step may be done again, by whoever takes over from a repairer that died.
//
//   1. the verdict on its log record: is it in the log or not? While it still owns the insert lock;
//   2. its change of pages, if it was making one: taken back, or made again from the record, while
//      its own locks keep everybody out;
//   3. its LWLocks are taken away from it, each with its tranche's repair, and whoever may wait is
//      woken, always.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"

namespace warren {

enum class ChangeRepair : uint8_t { kNone, kTakenBack, kFinished };

struct DeathRepair {
  ChangeRepair change = ChangeRepair::kNone;
  bool held_locks = false;  // or was about to acquire or release one
};

// Why what the dead process of `slot` has left cannot be made whole; nothing if it can. Changes
// nothing.
std::optional<std::string> WhyNotRepairable(SlotIndex slot);

// Does the three steps. The process has been reaped and is repairable.
DeathRepair RepairDead(SlotIndex slot) noexcept;

// Registers the repairs of all locks of cache and storage. Before the first fork.
void RegisterStorageRepairs();

}  // namespace warren
