// Where is the table of leaf hints?
//
// For storage/leaf_hint.* only, which says what a hint is.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>

#include "base/ids.h"

namespace warren {

// About as many as keys of a hundred bytes fit into the cache's pages: a thirtieth of its memory.
constexpr uint64_t LeafHintCount(uint32_t buffer_count) {
  return std::bit_floor(uint64_t{buffer_count} * 64);
}

// A hint is a buffer's number plus one, and behind it the slot in these lowest bits, fewer than
// that if the cache has more than eight million buffers.
inline constexpr uint32_t kLeafHintSlotBits = 9;
constexpr uint32_t LeafHintSlotBits(uint32_t buffer_count) {
  return std::min<uint32_t>(kLeafHintSlotBits,
                            32 - static_cast<uint32_t>(std::bit_width(buffer_count)));
}

// Pointers into the segment. Process-private, set before the first fork, the same everywhere.
struct LeafHintTable {
  uint64_t mask = 0;
  uint32_t slot_bits = 0;
  std::atomic<uint32_t>* places = nullptr;  // 0: none
};
inline LeafHintTable g_leaf_hint_table;

}  // namespace warren
