// How many keys does a database have?
//
// The counters change under the WAL insert lock alone, in the order of the records that carry them.
// A writer may still be at work in a tree that FLUSH has just taken away; its key must not be
// counted, so each counter bears the low bits of the incarnation it counts for.
#pragma once

#include <atomic>
#include <cstdint>

#include "shmem/segment.h"
#include "storage/record.h"

namespace warren {

inline constexpr unsigned kCountBits = 48;
inline constexpr uint64_t kCountMask = (uint64_t{1} << kCountBits) - 1;

inline uint64_t TaggedCount(uint32_t incarnation, uint64_t count) {
  return uint64_t{incarnation} << kCountBits | (count & kCountMask);
}
inline uint64_t CountOf(uint64_t tagged) { return tagged & kCountMask; }

// Under the insert lock, before the record is published: its counts after it. Takes its kCountsFlag
// away if the database counts for another incarnation by now.
inline void PlanCounts(RecordHeader& record, int keys_delta, int expires_delta) {
  if ((record.flags & kCountsFlag) == 0) return;
  if (record.type == RecordType::kDropTree) return;  // 0 keys of a new incarnation
  const DatabaseCounts& counts = Segment::Database(record.database);
  const uint64_t keys = counts.keys.load(std::memory_order_relaxed);
  if (keys >> kCountBits != (record.incarnation & 0xffff)) {
    record.flags = static_cast<uint8_t>(record.flags & ~kCountsFlag);
    return;
  }
  const uint64_t expires = counts.expires.load(std::memory_order_relaxed);
  record.keys_after = CountOf(keys) + static_cast<uint64_t>(int64_t{keys_delta});
  record.expires_after = CountOf(expires) + static_cast<uint64_t>(int64_t{expires_delta});
}

// After the record is published, still under the insert lock (or in redo, or by a repair).
inline void StoreCounts(const RecordHeader& record) {
  if ((record.flags & kCountsFlag) == 0) return;
  DatabaseCounts& counts = Segment::Database(record.database);
  if (record.type == RecordType::kDropTree) {
    counts.incarnation.store(record.incarnation, std::memory_order_release);
  }
  counts.keys.store(TaggedCount(record.incarnation, record.keys_after), std::memory_order_relaxed);
  counts.expires.store(TaggedCount(record.incarnation, record.expires_after),
                       std::memory_order_relaxed);
}

}  // namespace warren
