// In which buffer is a page?
//
// A hash of chains through the descriptors, cut into partitions with one LWLock each. All of it is
// derived: RelinkPartition makes a partition's chains anew from the descriptors alone.
//
// Locking: chains and tags of a partition change under its exclusive lock; a buffer's tag changes
// also under its exclusive content lock, which is acquired first. FindBuffer reads the chains
// without a lock, so what it finds is a hint until the buffer is locked and its tag seen again.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/result.h"
#include "shmem/buffer_pool.h"

namespace warren {

// Fibonacci hashing: neighbouring pages go to different partitions.
inline uint32_t BucketOf(PageNo page_no) {
  return static_cast<uint32_t>((page_no * uint64_t{0x9E37'79B9'7F4A'7C15}) >> 32) &
         g_buffer_pool.bucket_mask;
}
inline uint32_t PartitionOf(PageNo page_no) { return BucketOf(page_no) % kMappingPartitions; }

// A buffer that very probably holds the page, or kNoBuffer if very probably none does. Takes the
// partition lock (shared) only when a chain does not end where it should.
BufferIndex FindBuffer(PageNo page_no);

// Gives the page to `buffer`, which the caller holds exclusively and which is not dirty: tagged,
// not valid. If another buffer has the page already, changes nothing and returns that one; else
// kNoBuffer. Can sleep for the partition locks.
BufferIndex TagBuffer(BufferIndex buffer, PageNo page_no);

// Makes `buffer` empty; the caller holds it exclusively.
void UntagBuffer(BufferIndex buffer);

// Makes the chains of a partition anew from the descriptors. The caller holds its lock exclusively
// or stands in for a dead one who does; waits for nothing and may be repeated.
void RelinkPartition(uint32_t partition) noexcept;

// Each tagged buffer is on its page's chain exactly once, no page has two buffers, no chain holds a
// stranger or a cycle: what is wrong, or nothing. Takes the partition locks (shared) one at a time.
Status CheckMapping();

}  // namespace warren
