// What is taken at this moment of everything that processes take and give back?
//
// When nobody does anything, what is left here is what a death has left and no repair has cleared
// away. Each number is read by itself: while others work they don't fit each other.
//
// Locking: a shared lock on one map page at a time.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace warren {

struct Occupancy {
  std::string_view name;
  uint64_t count = 0;
};

// The asking process counts, with its slot. Errors: a map page could not be read.
Result<std::vector<Occupancy>> CountOccupancy();

}  // namespace warren
