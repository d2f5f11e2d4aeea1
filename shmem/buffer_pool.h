// Where are the buffer cache's arrays?
//
// For the files of the buffer cache only; everyone else goes through BufferCache.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/ids.h"
#include "lwlock/lwlock.h"
#include "shmem/buffer_descriptor.h"

namespace warren {

inline constexpr uint32_t kMappingPartitions = 128;

// Where the next look for a victim begins: hand modulo buffer count.
struct alignas(kCacheLineBytes) ClockHand {
  std::atomic<uint64_t> position;  // fetch_add by anybody
};

// At least twice as many buckets as buffers, so that a chain is seldom longer than two.
constexpr uint64_t BucketCount(uint32_t buffer_count) {
  const uint64_t wanted = std::bit_ceil(uint64_t{buffer_count}) * 2;
  return wanted < kMappingPartitions ? kMappingPartitions : wanted;
}

// Pointers into the segment. Process-private, set before the first fork, the same everywhere.
struct BufferPool {
  uint32_t count = 0;
  uint32_t bucket_mask = 0;
  BufferDescriptor* descriptors = nullptr;
  std::byte* page_bytes = nullptr;
  std::atomic<BufferIndex>* heads = nullptr;  // the first buffer of each bucket, or kNoBuffer
  ClockHand* clock = nullptr;
  LWLockArray content_locks;
  LWLockArray partition_locks;

  std::byte* Page(BufferIndex buffer) const { return page_bytes + size_t{buffer} * kPageBytes; }
};
inline BufferPool g_buffer_pool;

}  // namespace warren
