// How is memory obtained that all processes share?
#pragma once

#include <cstddef>

#include "base/result.h"

namespace warren {

struct SharedMapping {
  std::byte* base = nullptr;
  size_t bytes = 0;  // as asked for, rounded up to whole pages
  bool huge_pages = false;
};

// A MAP_SHARED mapping of at least `bytes`, all zero, inherited by fork. Allocated in full, so that
// no store to it can fail later; left out of core dumps. Huge pages, when wanted, are those that
// were set aside (vm.nr_hugepages), else ordinary ones put together, else ordinary ones, with a log
// line. What does not fit into memory is refused, naming both numbers.
Result<SharedMapping> MapShared(size_t bytes, bool want_huge_pages);

void UnmapShared(const SharedMapping& mapping);

}  // namespace warren
