// Where are the lock table's arrays, and what is in them?
//
// For the files of the lock table only; everyone else goes through LockTable.
//
//   lock_entries                                  truth: entry belongs to `owner`, in `state`
//   +-------------------+-------------------+--
//   | slice of part. 0  | slice of part. 1  | ...        16 partitions, by the tag's hash
//   +-------------------+-------------------+--
//   lock_buckets: heads of chains            derived, for each partition its own
//   lock_partitions: counters, free list     derived
//   lock_databases: `strong` of each         derived
//   lock_owners: one per process slot        what a waiter says about itself; whom to end
//
// Chains and lists hold index + 1; 0 is the end, so that zeroed memory is an empty table.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/ids.h"
#include "lwlock/lwlock.h"
#include "shmem/lock_mode.h"

namespace warren {

using EntryIndex = uint32_t;  // a place in the pool, 0-based
inline constexpr EntryIndex kNoEntry = ~EntryIndex{0};

// The deadlock finder holds all of their locks at once, besides its own (kMaxHeldLocks).
inline constexpr uint32_t kLockPartitions = 16;

// What an entry's owner has and waits for, in one word, so that a grant is one store.
struct LockState {
  TxLockMode granted = TxLockMode::kNone;
  TxLockMode wanted = TxLockMode::kNone;  // kNone: does not wait

  uint32_t word() const {
    return static_cast<uint32_t>(granted) | static_cast<uint32_t>(wanted) << 8;
  }
  static LockState FromWord(uint32_t word) {
    return {static_cast<TxLockMode>(word & 0xff), static_cast<TxLockMode>(word >> 8 & 0xff)};
  }
  bool waits() const { return wanted != TxLockMode::kNone; }
  friend bool operator==(const LockState&, const LockState&) = default;
};

inline constexpr size_t kLockNameBytes = 48;

// One owner's claim to one tag. All is written under the partition's lock, exclusively, but `token`
// (by the owner); `state` may be read by the owner without.
struct alignas(kCacheLineBytes) LockEntry {
  std::atomic<PackedOwner> owner;  // 0: free, and the rest means nothing
  std::atomic<uint32_t> state;     // LockState
  uint32_t next;                   // derived: of its chain, or of the free list
  uint32_t prev;                   // derived: of its chain; 0: the bucket leads here
  uint32_t database;               // the tag: database, kind, hash
  uint64_t hash;
  uint64_t ticket;  // larger: has begun to wait later (among those of its partition)
  uint8_t kind;     // LockKind
  uint8_t reserved[5];
  uint16_t name_length;  // of which the first kLockNameBytes are in `name`
  int64_t granted_us;    // WallClockUs
  int64_t waiting_us;    // WallClockUs of the wait's begin
  std::atomic<uint64_t> token;
  int64_t expiry_us;  // WallClockUs, 0: none
  char name[kLockNameBytes];

  LockState State() const { return LockState::FromWord(state.load(std::memory_order_acquire)); }
  PackedOwner Owner() const { return owner.load(std::memory_order_acquire); }
};
static_assert(sizeof(LockEntry) == 128);

struct alignas(kCacheLineBytes) LockPartition {
  // Entries on keys, for the look. Raised before an entry gets its owner, lowered after it is free.
  std::atomic<uint32_t> keys;

  // -- Under the partition's lock.
  alignas(kCacheLineBytes) std::atomic<uint32_t> used;  // entries in use
  uint32_t waiting;                                     // of those, the ones that wait
  uint32_t free;                                        // list
  uint32_t fresh;        // entries of the slice from here on have never been used
  uint64_t last_ticket;  // the last one given out
  // Who has just been granted something and may not have been woken yet; 0: nobody.
  std::atomic<PackedOwner> waking;
};

inline constexpr size_t kCycleTextBytes = 1024;

// One per process slot.
struct alignas(kCacheLineBytes) LockOwner {
  // -- By the slot's process.
  std::atomic<uint32_t> waits_on;     // entry + 1; 0: does not wait. A hint: see the entry's state
  std::atomic<uint64_t> wait_number;  // raised at the begin of each wait, by whichever process
  std::atomic<uint64_t> age;          // of its transaction: larger is younger

  // -- By a deadlock finder, under the deadlock lock.
  std::atomic<uint64_t> victim;  // the number of the wait that has to end
  char cycle[kCycleTextBytes];   // why; written before `victim`, with a 0 at its end
};

struct LockTableState {
  std::atomic<uint64_t> last_age;
  std::atomic<int64_t> last_search_us;  // MonotonicUs of the last search's begin, under its lock
};

// A partition's slice of the pool: hashing fills the slices unevenly.
constexpr uint32_t LockSlice(uint32_t lock_count) {
  return lock_count / kLockPartitions + lock_count / kLockPartitions / 4 + 16;
}
constexpr uint32_t LockBuckets(uint32_t lock_count) { return std::bit_ceil(LockSlice(lock_count)); }

// Pointers into the segment. Process-private, set before the first fork, the same everywhere.
struct LockPool {
  uint32_t slice = 0;
  uint32_t buckets = 0;  // of each partition
  uint32_t databases = 0;
  uint32_t slots = 0;
  LockEntry* entries = nullptr;
  uint32_t* heads = nullptr;
  LockPartition* partitions = nullptr;
  // Of each database: entries on its tag that hold or want S or X. As LockPartition::keys.
  std::atomic<uint32_t>* strong = nullptr;
  LockOwner* owners = nullptr;
  LockTableState* state = nullptr;
  LWLock* deadlock_lock = nullptr;
  LWLockArray partition_locks;
};
inline LockPool g_lock_pool;

}  // namespace warren
