// Where is the table of leaf hints?
//
// For storage/leaf_hint.* only, which says what a hint is.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "base/ids.h"

namespace warren {

// About as many as keys of a hundred bytes fit into the cache's pages: a thirtieth of its memory.
constexpr uint64_t LeafHintCount(uint32_t buffer_count) {
  return std::bit_floor(uint64_t{buffer_count} * 64);
}

// Pointers into the segment. Process-private, set before the first fork, the same everywhere.
struct LeafHintTable {
  uint64_t mask = 0;
  std::atomic<PageNo>* pages = nullptr;
};
inline LeafHintTable g_leaf_hint_table;

}  // namespace warren
