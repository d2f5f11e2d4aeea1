// LockTable::Snapshot, LocksOf: the lock table as people see it.
#include <array>
#include <cstring>

#include "shmem/lock_deadlock.h"
#include "shmem/lock_queue.h"
#include "shmem/lock_table.h"

namespace warren {
namespace {

// An entry as it stood under its partition's lock.
struct Copy {
  LockClaim claim;
  LockKind kind;
  uint32_t database;
  uint64_t hash;
  int64_t since_us;
  uint64_t token;
  char name[kLockNameBytes];
  size_t name_bytes;

  LockTag tag() const { return {kind, database, hash, {name, name_bytes}}; }
};

Copy CopyOf(const LockEntry& entry) {
  const LockTag tag = TagOf(entry);
  Copy copy{.claim = ClaimOf(entry),
            .kind = tag.kind,
            .database = tag.database,
            .hash = tag.hash,
            .since_us = entry.State().waits() ? entry.waiting_us : entry.granted_us,
            .token = entry.token.load(std::memory_order_relaxed),
            .name = {},
            .name_bytes = tag.name.size()};
  std::memcpy(copy.name, tag.name.data(), tag.name.size());
  return copy;
}

// `copies` has room for the whole slice: nothing is allocated under the lock.
void CopyPartition(uint32_t partition, std::vector<Copy>* copies) {
  const SharedLock lock(PartitionLock(partition));
  const EntryIndex begin = partition * g_lock_pool.slice;
  for (EntryIndex index = begin; index < begin + PartitionAt(partition).fresh; ++index) {
    const LockEntry& entry = EntryAt(index);
    if (entry.Owner() != 0) copies->push_back(CopyOf(entry));
  }
}

LockTable::Info Describe(const Copy& copy, const std::vector<Copy>& all) {
  LockTable::Info info{.tag = copy.tag(),
                       .name = std::string(copy.tag().name),
                       .granted = copy.claim.state.granted,
                       .wanted = copy.claim.state.wanted,
                       .owner = Unpack(copy.claim.owner),
                       .since_us = copy.since_us,
                       .token = copy.token,
                       .blockers = {}};
  info.tag.name = {};
  if (!copy.claim.state.waits()) return info;
  for (const Copy& other : all) {
    if (other.tag() == copy.tag() && Blocks(other.claim, copy.claim)) {
      info.blockers.push_back(Unpack(other.claim.owner));
    }
  }
  return info;
}

// The first few of many.
struct FewCopies {
  std::array<Copy, LockTable::OwnedLocks::kNamed> copies;
  size_t count = 0;  // of all

  void Add(const LockEntry& entry) {
    if (count < copies.size()) copies[count] = CopyOf(entry);
    ++count;
  }
  std::span<const Copy> named() const { return {copies.data(), std::min(count, copies.size())}; }
};

// Nothing is allocated under the lock.
void CollectOwned(uint32_t partition, PackedOwner owner, FewCopies* owned, FewCopies* waiters) {
  const SharedLock lock(PartitionLock(partition));
  const EntryIndex begin = partition * g_lock_pool.slice;
  for (EntryIndex index = begin; index < begin + PartitionAt(partition).fresh; ++index) {
    const LockEntry& entry = EntryAt(index);
    if (entry.Owner() != owner) continue;
    owned->Add(entry);
    const LockTag tag = TagOf(entry);
    ForEachOf(PlaceOf(tag), tag, [&](EntryIndex, const LockEntry& other) {
      const bool waits = other.Owner() != owner && other.State().waits();
      if (waits && Blocks(ClaimOf(entry), ClaimOf(other))) waiters->Add(other);
      return true;
    });
  }
}

}  // namespace

LockTable::OwnedLocks LockTable::LocksOf(Owner owner) {
  FewCopies owned, waiters;
  for (uint32_t partition = 0; partition < kLockPartitions; ++partition) {
    if (PartitionAt(partition).used.load() == 0) continue;
    CollectOwned(partition, Pack(owner), &owned, &waiters);
  }
  OwnedLocks locks{.count = owned.count, .named = {}, .waiter_count = waiters.count, .waiters = {}};
  for (const Copy& copy : owned.named()) {
    locks.named.push_back(
        {DescribeTag(copy.tag()), copy.claim.state.granted, copy.claim.state.wanted});
  }
  for (const Copy& copy : waiters.named()) {
    locks.waiters.push_back({Unpack(copy.claim.owner), DescribeTag(copy.tag()), copy.since_us});
  }
  return locks;
}

std::vector<LockTable::Info> LockTable::Snapshot() {
  std::vector<Info> all;
  std::vector<Copy> copies;
  for (uint32_t partition = 0; partition < kLockPartitions; ++partition) {
    if (PartitionAt(partition).used.load() == 0) continue;
    copies.clear();
    copies.reserve(g_lock_pool.slice);
    CopyPartition(partition, &copies);
    for (const Copy& copy : copies) all.push_back(Describe(copy, copies));
  }
  return all;
}

}  // namespace warren
