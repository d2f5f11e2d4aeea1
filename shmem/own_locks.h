// Which locks of the lock table does this process hold?
//
// Private memory: a hash table over an array, so that asking for a lock that is held already
// touches nothing shared, and giving all back is a walk over the array. What is said here about an
// advisory lock with an expiry may be out of date: anybody may have taken it away.
#pragma once

#include <cstdint>
#include <vector>

#include "shmem/lock_queue.h"
#include "shmem/lock_table.h"

namespace warren {

struct OwnLock {
  LockPlace place;
  uint64_t hash = 0;
  uint32_t database = 0;
  LockKind kind = LockKind::kKey;
  TxLockMode transaction = TxLockMode::kNone;  // what each scope has asked for
  TxLockMode session = TxLockMode::kNone;
  uint32_t session_count = 0;
  EntryIndex entry = kNoEntry;
  uint64_t token = 0;
  int64_t expiry_us = 0;  // as in the entry

  TxLockMode mode() const { return Union(transaction, session); }
  LockTag tag() const { return {kind, database, hash, {}}; }
  bool IsOf(const LockTag& of) const {
    return hash == of.hash && database == of.database && kind == of.kind;
  }
};

class OwnLocks {
 public:
  size_t size() const { return locks_.size(); }
  OwnLock& operator[](size_t i) { return locks_[i]; }

  // Null: not held. Pointers are good until the next Add or Remove.
  OwnLock* Find(LockPlace place, const LockTag& tag);
  // Makes room for so many more; may throw, so before anything is taken.
  void Reserve(size_t more = 1);
  OwnLock& Add(const OwnLock& lock) noexcept;
  void Remove(OwnLock& lock) noexcept;
  // All that neither scope asks for any more.
  void RemoveReleased() noexcept;
  void Clear() noexcept;

 private:
  size_t Mask() const { return index_.size() - 1; }
  size_t Home(LockPlace place) const { return (place.mixed >> 8) & Mask(); }
  size_t PositionOf(const OwnLock& lock) const;
  void Insert(uint32_t number) noexcept;
  void CloseGap(size_t gap) noexcept;

  std::vector<OwnLock> locks_;
  std::vector<uint32_t> index_;  // number in locks_ + 1, or 0; linear probing, at most half full
};

}  // namespace warren
