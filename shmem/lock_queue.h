// Who holds a tag, who waits for it, and who is next? The entries of one partition.
//
// Invariants, at every moment at which nobody holds the partition's lock exclusively
// (CheckLockPartition asserts them):
//   1. an entry with an owner is on its tag's chain exactly once; one without is on the free list
//      or has never been used;
//   2. an owner has at most one entry for a tag; it holds or wants something;
//   3. no two owners hold conflicting modes of one tag;
//   4. whoever waits is kept out by somebody: by one who holds a conflicting mode, or by one who
//      waits for a conflicting mode and is further ahead;
//   5. used, waiting, keys and strong count what their names say;
//   6. an owner is a process whose slot is not free yet.
// At any moment at all, also between two stores of a process that is killed there:
//   7. keys and strong are not smaller than what they count;
//   8. an entry belongs to its owner, in its state, wholly or not at all: owner and state change by
//      one store each, and what they say was written before;
//   9. whoever has been granted something is awake, or named in `waking`, or about to be woken by
//      whoever repairs the partition.
//
// The queue of a tag: those who hold it already and want more stand first, then the others; among
// each the one who has waited longest.
//
// Locking: all functions are called with the partition's lock held, exclusively unless said
// otherwise; they wait for nothing and throw nothing.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "shmem/lock_pool.h"
#include "shmem/lock_table.h"

namespace warren {

// Where the entries of a tag are.
struct LockPlace {
  uint64_t mixed;  // of kind, database and hash

  uint32_t partition() const { return static_cast<uint32_t>(mixed >> 60); }
  uint32_t bucket() const {
    return partition() * g_lock_pool.buckets +
           (static_cast<uint32_t>(mixed >> 24) & (g_lock_pool.buckets - 1));
  }
};
static_assert(kLockPartitions == 16, "LockPlace takes four bits");

inline LockPlace PlaceOf(LockKind kind, uint32_t database, uint64_t hash) {
  uint64_t x =
      hash + (uint64_t{database} << 2 | static_cast<uint64_t>(kind)) * 0x9E37'79B9'7F4A'7C15;
  x ^= x >> 32;
  return {x * 0xD6E8'FEB8'6659'FD93};
}
inline LockPlace PlaceOf(const LockTag& tag) { return PlaceOf(tag.kind, tag.database, tag.hash); }

inline LWLock& PartitionLock(uint32_t partition) { return g_lock_pool.partition_locks[partition]; }
inline LockPartition& PartitionAt(uint32_t partition) { return g_lock_pool.partitions[partition]; }
inline LockEntry& EntryAt(EntryIndex index) { return g_lock_pool.entries[index]; }

inline bool IsOf(const LockEntry& entry, const LockTag& tag) {
  return entry.hash == tag.hash && entry.database == tag.database &&
         entry.kind == static_cast<uint8_t>(tag.kind);
}
LockTag TagOf(const LockEntry& entry);  // its name points into the entry

// An entry as far as others are concerned.
struct LockClaim {
  PackedOwner owner;
  LockState state;
  uint64_t ticket;

  // Of those who wait for one tag, the smaller one is ahead.
  uint64_t QueuePosition() const {
    constexpr uint64_t kHoldsNothing = uint64_t{1} << 63;
    return state.granted == TxLockMode::kNone ? ticket | kHoldsNothing : ticket;
  }
};
inline LockClaim ClaimOf(const LockEntry& entry) {
  return {entry.Owner(), entry.State(), entry.ticket};
}

// Must the waiting `claim` wait for `other`, which is one for the same tag?
bool Blocks(const LockClaim& other, const LockClaim& claim);

// Does anybody keep `claim` from being granted? Shared is enough.
bool IsBlocked(LockPlace place, const LockTag& tag, const LockClaim& claim);

// Calls `visit(index, entry)` for each entry of the tag until it returns false. Shared is enough.
template <typename Visit>
void ForEachOf(LockPlace place, const LockTag& tag, Visit visit) {
  for (uint32_t link = g_lock_pool.heads[place.bucket()]; link != 0;) {
    LockEntry& entry = EntryAt(link - 1);
    const uint32_t next = entry.next;
    if (IsOf(entry, tag) && !visit(EntryIndex{link - 1}, entry)) return;
    link = next;
  }
}

// The ticket for a wait that begins now.
inline uint64_t NextTicket(LockPartition& partition) { return ++partition.last_ticket; }

// Gives a free entry to `owner`; kNoEntry if the slice has none. `now_us`: WallClockUs.
EntryIndex AddEntry(LockPlace place, const LockTag& tag, PackedOwner owner, LockState state,
                    int64_t now_us);
void SetState(LockPlace place, LockEntry& entry, LockState state);
void RemoveEntry(LockPlace place, EntryIndex index);

// Grants what can be granted of the tag, in the queue's order, and wakes whom it has granted to.
void GrantWaiters(LockPlace place, const LockTag& tag);
// Wakes all that wait for the tag: something has changed for them other than what they may have.
void WakeWaiters(LockPlace place, const LockTag& tag);

// -- Advisory locks. Takes grants whose time has come away from all but `self`; were there any? Not
// from those who wait to have more. GrantWaiters is the caller's to call.
bool RemoveExpired(LockPlace place, const LockTag& tag, PackedOwner self, int64_t now_us);
// The earliest expiry of a grant of others; 0: none expires. Shared is enough.
int64_t NextExpiry(LockPlace place, const LockTag& tag, PackedOwner self);

// Makes everything derived anew from the entries, grants what can be granted, wakes all that wait
// or may have been about to be woken. The caller holds the partition's lock or stands in for a dead
// one who does. May be repeated.
void RelinkLockPartition(uint32_t partition) noexcept;

// The invariants above; takes the lock (shared) itself.
Status CheckLockPartition(uint32_t partition);

}  // namespace warren
