#include "shmem/lock_queue.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/ordered_store.h"
#include "base/seeded_bug.h"
#include "shmem/latch.h"
#include "shmem/segment.h"

namespace warren {
namespace {

constexpr auto kKeyKind = static_cast<uint8_t>(LockKind::kKey);
constexpr auto kDatabaseKind = static_cast<uint8_t>(LockKind::kDatabase);

LockPlace PlaceOfEntry(const LockEntry& entry) {
  return PlaceOf(static_cast<LockKind>(entry.kind), entry.database, entry.hash);
}

// Only changed under a partition's lock; seq_cst because of the look, which has no lock: a grant
// that it does not see is given to somebody who will see what the looker does.
void Raise(std::atomic<uint32_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
}
void Lower(std::atomic<uint32_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) - 1, std::memory_order_release);
}

// Does an entry on a database keep writers of its keys out, or will it?
bool IsStrong(LockState state) {
  return state.granted >= TxLockMode::kS || state.wanted >= TxLockMode::kS;
}

// -- Chains and the free list: derived.

void Link(LockPlace place, EntryIndex index) {
  uint32_t& head = g_lock_pool.heads[place.bucket()];
  LockEntry& entry = EntryAt(index);
  entry.next = head;
  entry.prev = 0;
  if (head != 0) EntryAt(head - 1).prev = index + 1;
  head = index + 1;
}

void Unlink(LockPlace place, EntryIndex index) {
  const LockEntry& entry = EntryAt(index);
  uint32_t& link =
      entry.prev != 0 ? EntryAt(entry.prev - 1).next : g_lock_pool.heads[place.bucket()];
  CHECK(link == index + 1, "lock entry {} is not on its chain", index);
  link = entry.next;
  if (entry.next != 0) EntryAt(entry.next - 1).prev = entry.prev;
}

EntryIndex TakeFree(uint32_t partition_no) {
  LockPartition& partition = PartitionAt(partition_no);
  if (partition.free != 0) {
    const EntryIndex index = partition.free - 1;
    partition.free = EntryAt(index).next;
    return index;
  }
  if (partition.fresh == g_lock_pool.slice) return kNoEntry;
  return partition_no * g_lock_pool.slice + partition.fresh++;
}

void PutFree(LockPartition& partition, EntryIndex index) {
  EntryAt(index).next = partition.free;
  partition.free = index + 1;
}

// -- Granting.

// The first one in the tag's queue behind `position`.
LockEntry* NextInQueue(LockPlace place, const LockTag& tag, uint64_t position) {
  LockEntry* first = nullptr;
  uint64_t first_position = ~uint64_t{0};
  ForEachOf(place, tag, [&](EntryIndex, LockEntry& entry) {
    const LockClaim claim = ClaimOf(entry);
    const uint64_t here = claim.QueuePosition();
    if (claim.state.waits() && here > position && here < first_position) {
      first = &entry;
      first_position = here;
    }
    return true;
  });
  return first;
}

void Wake(PackedOwner owner) { SetLatch(Segment::Procs(), Unpack(owner)); }

void Grant(LockPlace place, LockEntry& entry) {
  LockPartition& partition = PartitionAt(place.partition());
  const PackedOwner owner = entry.Owner();
  // Before the grant: who is killed between the two leaves a waiter who is granted and asleep.
  if (!WARREN_SEEDED_BUG(waking_not_noted)) StoreBefore(partition.waking, owner);
  entry.granted_us = WallClockUs();
  SetState(place, entry, {entry.State().wanted, TxLockMode::kNone});
  FAULT_POINT(kLockWake);
  Wake(owner);
  StoreAfter(partition.waking, PackedOwner{0});
}

// -- What is counted, for the repair and the check.

struct PartitionCounts {
  uint32_t used = 0;
  uint32_t waiting = 0;
  uint32_t keys = 0;
  friend bool operator==(const PartitionCounts&, const PartitionCounts&) = default;
};

template <typename Visit>
void ForEachUsed(uint32_t partition, Visit visit) {
  const EntryIndex begin = partition * g_lock_pool.slice;
  for (EntryIndex index = begin; index < begin + g_lock_pool.slice; ++index) {
    if (EntryAt(index).Owner() != 0) visit(index, EntryAt(index));
  }
}

PartitionCounts CountEntries(uint32_t partition) {
  PartitionCounts counts;
  ForEachUsed(partition, [&](EntryIndex, const LockEntry& entry) {
    ++counts.used;
    if (entry.State().waits()) ++counts.waiting;
    if (entry.kind == kKeyKind) ++counts.keys;
  });
  return counts;
}

bool IsOfPartition(uint32_t database, uint32_t partition) {
  return PlaceOf(LockKind::kDatabase, database, 0).partition() == partition;
}

uint32_t CountStrong(uint32_t database) {
  const LockTag tag = DatabaseTag(database);
  uint32_t strong = 0;
  ForEachOf(PlaceOf(tag), tag, [&](EntryIndex, const LockEntry& entry) {
    if (IsStrong(entry.State())) ++strong;
    return true;
  });
  return strong;
}

void RelinkEntries(uint32_t partition_no) {
  LockPartition& partition = PartitionAt(partition_no);
  std::memset(g_lock_pool.heads + partition_no * g_lock_pool.buckets, 0,
              g_lock_pool.buckets * sizeof *g_lock_pool.heads);
  partition.free = 0;
  partition.fresh = g_lock_pool.slice;
  partition.last_ticket = 0;
  const EntryIndex begin = partition_no * g_lock_pool.slice;
  for (EntryIndex index = begin + g_lock_pool.slice; index-- > begin;) {
    LockEntry& entry = EntryAt(index);
    if (entry.Owner() == 0) {
      PutFree(partition, index);
      continue;
    }
    Link(PlaceOfEntry(entry), index);
    partition.last_ticket = std::max(partition.last_ticket, entry.ticket);
  }
}

void RecountPartition(uint32_t partition_no) {
  LockPartition& partition = PartitionAt(partition_no);
  const PartitionCounts counts = CountEntries(partition_no);
  partition.used.store(counts.used);
  partition.waiting = counts.waiting;
  // Each by one store: a look meanwhile must not find less than there is.
  partition.keys.store(counts.keys);
  for (uint32_t database = 0; database < g_lock_pool.databases; ++database) {
    if (!IsOfPartition(database, partition_no)) continue;
    g_lock_pool.strong[database].store(CountStrong(database));
  }
}

// -- The check.

Error EntryError(EntryIndex index, const char* what) {
  const LockEntry& entry = EntryAt(index);
  const Owner owner = Unpack(entry.Owner());
  return MakeError(ErrorCode::kGeneric, "lock table: entry {} ({} {:x}, slot {}/{}, {} -> {}) {}",
                   index, LockKindName(static_cast<LockKind>(entry.kind)), entry.hash, owner.slot,
                   owner.generation, TxLockModeName(entry.State().granted),
                   TxLockModeName(entry.State().wanted), what);
}

bool IsAlive(Owner owner) {
  const ProcArray procs = Segment::Procs();
  if (owner.slot >= procs.size()) return false;
  const Proc& proc = procs[owner.slot];
  return proc.life.load() != ProcLife::kFree && proc.generation.load() == owner.generation;
}

Status CheckEntry(EntryIndex index) {
  const LockEntry& entry = EntryAt(index);
  const LockClaim claim = ClaimOf(entry);
  const LockTag tag = TagOf(entry);
  const LockPlace place = PlaceOf(tag);
  uint32_t own = 0;
  bool fits = true;
  ForEachOf(place, tag, [&](EntryIndex, const LockEntry& other) {
    const bool is_own = other.Owner() == claim.owner;
    own += is_own ? 1 : 0;
    fits &= is_own || !Conflicts(other.State().granted, claim.state.granted);
    return true;
  });
  if (own != 1) return EntryError(index, "is not on its chain, or its owner has several");
  if (claim.state == LockState{}) return EntryError(index, "holds nothing and wants nothing");
  if (!fits) return EntryError(index, "holds what conflicts with another's grant");
  if (claim.state.waits() && !IsBlocked(place, tag, claim))
    return EntryError(index, "waits for nobody");
  if (!IsAlive(Unpack(claim.owner))) return EntryError(index, "was left behind");
  return {};
}

Status CheckChains(uint32_t partition, uint32_t used) {
  uint32_t linked = 0;
  for (uint32_t bucket = 0; bucket < g_lock_pool.buckets; ++bucket) {
    const uint32_t at = partition * g_lock_pool.buckets + bucket;
    uint32_t before = 0;
    for (uint32_t link = g_lock_pool.heads[at]; link != 0; link = EntryAt(link - 1).next) {
      const LockEntry& entry = EntryAt(link - 1);
      if (++linked > used) return EntryError(link - 1, "is on a cycle");
      if (entry.Owner() == 0) return EntryError(link - 1, "is free but on a chain");
      if (PlaceOfEntry(entry).bucket() != at) return EntryError(link - 1, "is on a strange chain");
      if (entry.prev != before) return EntryError(link - 1, "leads back to a wrong one");
      before = link;
    }
  }
  if (linked == used) return {};
  return MakeError(ErrorCode::kGeneric, "lock table: partition {}: {} entries on chains, {} in use",
                   partition, linked, used);
}

Status CheckFreeList(uint32_t partition_no, uint32_t used) {
  const LockPartition& partition = PartitionAt(partition_no);
  uint32_t free = g_lock_pool.slice - partition.fresh;
  for (uint32_t link = partition.free; link != 0; link = EntryAt(link - 1).next) {
    if (EntryAt(link - 1).Owner() != 0) return EntryError(link - 1, "is on the free list");
    if (++free > g_lock_pool.slice) break;
  }
  if (free + used == g_lock_pool.slice) return {};
  return MakeError(ErrorCode::kGeneric,
                   "lock table: partition {}: {} entries free and {} used of {}", partition_no,
                   free, used, g_lock_pool.slice);
}

Status CheckCounts(uint32_t partition_no) {
  const LockPartition& partition = PartitionAt(partition_no);
  const PartitionCounts counts = CountEntries(partition_no);
  if (PartitionCounts{partition.used.load(), partition.waiting, partition.keys.load()} != counts) {
    return MakeError(ErrorCode::kGeneric, "lock table: partition {}: wrong counters", partition_no);
  }
  for (uint32_t database = 0; database < g_lock_pool.databases; ++database) {
    if (!IsOfPartition(database, partition_no)) continue;
    const uint32_t strong = g_lock_pool.strong[database].load();
    if (strong == CountStrong(database)) continue;
    return MakeError(ErrorCode::kGeneric, "lock table: database {}: strong is {}, should be {}",
                     database, strong, CountStrong(database));
  }
  return {};
}

}  // namespace

LockTag TagOf(const LockEntry& entry) {
  return {.kind = static_cast<LockKind>(entry.kind),
          .database = entry.database,
          .hash = entry.hash,
          .name = {entry.name, std::min<size_t>(entry.name_length, kLockNameBytes)}};
}

bool Blocks(const LockClaim& other, const LockClaim& claim) {
  if (other.owner == claim.owner) return false;
  if (Conflicts(other.state.granted, claim.state.wanted)) return true;
  return Conflicts(other.state.wanted, claim.state.wanted) &&
         other.QueuePosition() < claim.QueuePosition();
}

bool IsBlocked(LockPlace place, const LockTag& tag, const LockClaim& claim) {
  bool blocked = false;
  ForEachOf(place, tag, [&](EntryIndex, const LockEntry& entry) {
    blocked = Blocks(ClaimOf(entry), claim);
    return !blocked;
  });
  return blocked;
}

EntryIndex AddEntry(LockPlace place, const LockTag& tag, PackedOwner owner, LockState state,
                    int64_t now_us) {
  LockPartition& partition = PartitionAt(place.partition());
  const EntryIndex index = TakeFree(place.partition());
  if (index == kNoEntry) return index;
  LockEntry& entry = EntryAt(index);
  // Before the owner: a death between the two leaves a counter too high, never too low.
  if (tag.kind == LockKind::kKey) Raise(partition.keys);
  if (tag.kind == LockKind::kDatabase && IsStrong(state)) Raise(g_lock_pool.strong[tag.database]);
  FAULT_POINT(kLockOwn);
  entry.state.store(state.word(), std::memory_order_relaxed);
  entry.database = tag.database;
  entry.hash = tag.hash;
  entry.kind = static_cast<uint8_t>(tag.kind);
  entry.name_length = static_cast<uint16_t>(std::min<size_t>(tag.name.size(), 0xffff));
  (void)tag.name.copy(entry.name, kLockNameBytes);  // may be a null pointer with no bytes
  entry.granted_us = entry.waiting_us = now_us;
  entry.ticket = NextTicket(partition);
  entry.token.store(0, std::memory_order_relaxed);
  entry.expiry_us = 0;
  StoreAfter(entry.owner, owner);
  FAULT_POINT(kLockLink);
  Link(place, index);
  partition.used.store(partition.used.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
  if (state.waits()) ++partition.waiting;
  return index;
}

void SetState(LockPlace place, LockEntry& entry, LockState state) {
  const LockState before = entry.State();
  const bool is_database = entry.kind == kDatabaseKind;
  if (is_database && IsStrong(state) && !IsStrong(before)) {
    Raise(g_lock_pool.strong[entry.database]);
  }
  StoreAfter(entry.state, state.word());
  FAULT_POINT(kLockCount);
  if (is_database && IsStrong(before) && !IsStrong(state)) {
    Lower(g_lock_pool.strong[entry.database]);
  }
  PartitionAt(place.partition()).waiting +=
      static_cast<uint32_t>(state.waits()) - static_cast<uint32_t>(before.waits());
}

void RemoveEntry(LockPlace place, EntryIndex index) {
  LockPartition& partition = PartitionAt(place.partition());
  LockEntry& entry = EntryAt(index);
  const LockState state = entry.State();
  StoreAfter(entry.owner, PackedOwner{0});
  FAULT_POINT(kLockUnlink);
  Unlink(place, index);
  PutFree(partition, index);
  partition.used.store(partition.used.load(std::memory_order_relaxed) - 1,
                       std::memory_order_relaxed);
  if (state.waits()) --partition.waiting;
  if (entry.kind == kKeyKind) Lower(partition.keys);
  if (entry.kind == kDatabaseKind && IsStrong(state)) Lower(g_lock_pool.strong[entry.database]);
}

void GrantWaiters(LockPlace place, const LockTag& tag) {
  if (PartitionAt(place.partition()).waiting == 0) return;
  FAULT_POINT(kLockGrant);
  uint64_t position = 0;
  while (LockEntry* const entry = NextInQueue(place, tag, position)) {
    const LockClaim claim = ClaimOf(*entry);
    position = claim.QueuePosition();
    if (!IsBlocked(place, tag, claim)) Grant(place, *entry);
    // Granted or not, it keeps out everybody behind it.
    if (claim.state.wanted == TxLockMode::kX) return;
  }
}

void WakeWaiters(LockPlace place, const LockTag& tag) {
  if (PartitionAt(place.partition()).waiting == 0) return;
  ForEachOf(place, tag, [](EntryIndex, const LockEntry& entry) {
    if (entry.State().waits()) Wake(entry.Owner());
    return true;
  });
}

bool RemoveExpired(LockPlace place, const LockTag& tag, PackedOwner self, int64_t now_us) {
  bool any = false;
  ForEachOf(place, tag, [&](EntryIndex index, const LockEntry& entry) {
    const bool due = entry.expiry_us != 0 && entry.expiry_us <= now_us;
    if (due && entry.Owner() != self && !entry.State().waits()) {
      RemoveEntry(place, index);
      any = true;
    }
    return true;
  });
  return any;
}

int64_t NextExpiry(LockPlace place, const LockTag& tag, PackedOwner self) {
  int64_t next_us = 0;
  ForEachOf(place, tag, [&](EntryIndex, const LockEntry& entry) {
    const bool may_go = entry.expiry_us != 0 && entry.Owner() != self && !entry.State().waits();
    if (may_go && (next_us == 0 || entry.expiry_us < next_us)) next_us = entry.expiry_us;
    return true;
  });
  return next_us;
}

void RelinkLockPartition(uint32_t partition) noexcept {
  if (WARREN_SEEDED_BUG(entries_not_relinked)) return;
  RelinkEntries(partition);
  RecountPartition(partition);
  // The first to be woken: granting overwrites it.
  if (const PackedOwner waking = PartitionAt(partition).waking.load(); waking != 0) Wake(waking);
  ForEachUsed(partition, [](EntryIndex, const LockEntry& entry) {
    if (entry.State().waits()) GrantWaiters(PlaceOfEntry(entry), TagOf(entry));
  });
  ForEachUsed(partition, [](EntryIndex, const LockEntry& entry) {
    if (entry.State().waits()) Wake(entry.Owner());
  });
}

Status CheckLockPartition(uint32_t partition) {
  const SharedLock lock(PartitionLock(partition));
  const uint32_t used = CountEntries(partition).used;
  RETURN_IF_ERROR(CheckChains(partition, used));
  RETURN_IF_ERROR(CheckFreeList(partition, used));
  RETURN_IF_ERROR(CheckCounts(partition));
  const EntryIndex begin = partition * g_lock_pool.slice;
  for (EntryIndex index = begin; index < begin + g_lock_pool.slice; ++index) {
    if (EntryAt(index).Owner() != 0) RETURN_IF_ERROR(CheckEntry(index));
  }
  return {};
}

}  // namespace warren
