#include "shmem/own_locks.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace warren {
namespace {

constexpr size_t kFirstSize = 64;
// A larger index is given back when nothing is held any more.
constexpr size_t kKeptSize = 4096;

}  // namespace

OwnLock* OwnLocks::Find(LockPlace place, const LockTag& tag) {
  if (locks_.empty()) return nullptr;
  for (size_t at = Home(place); index_[at] != 0; at = (at + 1) & Mask()) {
    OwnLock& lock = locks_[index_[at] - 1];
    if (lock.IsOf(tag)) return &lock;
  }
  return nullptr;
}

void OwnLocks::Reserve(size_t more) {
  const size_t wanted = locks_.size() + more;
  if (wanted > locks_.capacity()) {
    locks_.reserve(std::max({kFirstSize / 2, 2 * locks_.capacity(), wanted}));
  }
  if (2 * wanted <= index_.size()) return;
  index_.assign(std::max(kFirstSize, std::bit_ceil(2 * wanted)), 0);
  for (size_t i = 0; i < locks_.size(); ++i) Insert(static_cast<uint32_t>(i + 1));
}

OwnLock& OwnLocks::Add(const OwnLock& lock) noexcept {
  locks_.push_back(lock);
  Insert(static_cast<uint32_t>(locks_.size()));
  return locks_.back();
}

void OwnLocks::Remove(OwnLock& lock) noexcept {
  CloseGap(PositionOf(lock));
  OwnLock& last = locks_.back();
  if (&last != &lock) {
    index_[PositionOf(last)] = static_cast<uint32_t>(&lock - locks_.data() + 1);
    lock = last;
  }
  locks_.pop_back();
  if (locks_.empty() && index_.size() > kKeptSize) Clear();
}

void OwnLocks::RemoveReleased() noexcept {
  const auto released = [](const OwnLock& lock) { return lock.mode() == TxLockMode::kNone; };
  // Many, and nothing else: the usual end of a transaction.
  const bool sparse = index_.size() > kFirstSize && locks_.size() < index_.size() / 16;
  if (!sparse && std::ranges::all_of(locks_, released)) {
    if (index_.size() > kKeptSize) return Clear();
    locks_.clear();
    std::ranges::fill(index_, 0u);
    return;
  }
  for (size_t i = locks_.size(); i-- > 0;) {
    if (released(locks_[i])) Remove(locks_[i]);
  }
}

void OwnLocks::Clear() noexcept {
  locks_ = {};
  index_ = {};
}

void OwnLocks::Insert(uint32_t number) noexcept {
  size_t at = Home(locks_[number - 1].place);
  while (index_[at] != 0) at = (at + 1) & Mask();
  index_[at] = number;
}

size_t OwnLocks::PositionOf(const OwnLock& lock) const {
  const auto number = static_cast<uint32_t>(&lock - locks_.data() + 1);
  size_t at = Home(lock.place);
  for (; index_[at] != number; at = (at + 1) & Mask()) {
    DCHECK(index_[at] != 0, "a held lock is not in the index");
  }
  return at;
}

// Moves back whatever could not stand in the gap's place or before it when it was put there.
void OwnLocks::CloseGap(size_t gap) noexcept {
  for (size_t at = gap;;) {
    index_[gap] = 0;
    for (;;) {
      at = (at + 1) & Mask();
      if (index_[at] == 0) return;
      const size_t home = Home(locks_[index_[at] - 1].place);
      // Does its home lie cyclically behind the gap? Then a search for it never passes the gap.
      if (((at - home) & Mask()) >= ((at - gap) & Mask())) break;
    }
    index_[gap] = index_[at];
    gap = at;
  }
}

}  // namespace warren
