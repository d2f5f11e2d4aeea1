// How many keys does a database have, while FLUSH and writers run side by side?
//
// A writer may still be at work in a tree that FLUSH has just taken away; its key must not be
// counted. So each counter bears the low bits of the incarnation it counts for, and counting is a
// compare-and-swap that fails when the incarnation has changed.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace warren {

inline constexpr unsigned kCountBits = 48;
inline constexpr uint64_t kCountMask = (uint64_t{1} << kCountBits) - 1;

inline uint64_t TaggedCount(uint32_t incarnation, uint64_t count) {
  return uint64_t{incarnation} << kCountBits | (count & kCountMask);
}
inline uint64_t CountOf(uint64_t tagged) { return tagged & kCountMask; }

// The count after adding `delta`, or nothing if `counter` counts for another incarnation.
inline std::optional<uint64_t> AddToCount(std::atomic<uint64_t>& counter, uint32_t incarnation,
                                          int delta) {
  uint64_t before = counter.load(std::memory_order_relaxed);
  for (;;) {
    if (before >> kCountBits != (incarnation & 0xffff)) return std::nullopt;
    if (delta == 0) return CountOf(before);
    const uint64_t after =
        TaggedCount(incarnation, CountOf(before) + static_cast<uint64_t>(int64_t{delta}));
    if (counter.compare_exchange_weak(before, after, std::memory_order_seq_cst)) {
      return CountOf(after);
    }
  }
}

}  // namespace warren
