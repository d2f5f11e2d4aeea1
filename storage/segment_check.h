// Is each structure of the segment as its rules say, while clients are at work?
//
// One row for each structure of the segment's table (shmem/segment.cpp): the check of its
// invariants, or why there is nothing that could be wrong. CHECK runs all of them; a test compares
// the rows with the segment.
//
// What is looked at may change meanwhile, without a lock: a fault is one that is there each time of
// several.
//
// Locking: partition locks and the WAL insert lock, shared, one at a time; no LWLock is held by the
// caller.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "storage/fault_list.h"

namespace warren {

struct SegmentCheck {
  std::string_view structure;
  Status (*check)() = nullptr;
  std::string_view why_none = {};  // if there is no check
};
std::span<const SegmentCheck> SegmentChecks();

void CheckSegment(FaultList* faults);

}  // namespace warren
