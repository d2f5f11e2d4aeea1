// Where is the table of leaf hints?
//
// For storage/leaf_hint.* only, which says what a hint is.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/ids.h"

namespace warren {

// Hints for keys of similar hashes, side by side: one cache miss, and few keys without a hint of
// their own as long as there are fewer keys than hints. Behind an empty one all are empty.
//
//   bits 0-31  the buffer's number plus one, 0: no hint     32-47  slot     48-63  tag
struct alignas(kCacheLineBytes) LeafHintBucket {
  std::array<std::atomic<uint64_t>, kCacheLineBytes / sizeof(uint64_t)> hints;
};
static_assert(sizeof(LeafHintBucket) == kCacheLineBytes);

// About as many hints as keys of a hundred bytes fit into the cache's pages: a sixteenth of its
// memory.
constexpr uint64_t LeafHintBuckets(uint32_t buffer_count) { return uint64_t{buffer_count} * 8; }

// Pointers into the segment. Process-private, set before the first fork, the same everywhere.
struct LeafHintTable {
  uint64_t bucket_count = 0;
  LeafHintBucket* buckets = nullptr;

  LeafHintBucket& BucketOf(uint64_t hash) const {
    return buckets[static_cast<unsigned __int128>(hash) * bucket_count >> 64];
  }
};
inline LeafHintTable g_leaf_hint_table;

}  // namespace warren
