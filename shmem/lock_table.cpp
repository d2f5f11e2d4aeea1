#include "shmem/lock_table.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/ordered_store.h"
#include "base/seeded_bug.h"
#include "lwlock/repair.h"
#include "shmem/lock_queue.h"
#include "shmem/lock_wait.h"
#include "shmem/own_locks.h"
#include "shmem/segment.h"

namespace warren {
namespace {

// Of this process; thread-local only for the tests.
thread_local OwnLocks t_held;
// Has the transaction an age of its own, or is each wait as old as itself?
constinit thread_local bool t_has_age = false;

PackedOwner Self() {
  const PackedOwner self = Pack(ProcArray::SelfOwner());
  CHECK(self != 0, "a process whose slot was not given out asks for a lock");
  return self;
}

LockOwner& OwnSlot() { return g_lock_pool.owners[ProcArray::SelfOwner().slot]; }

uint64_t NewAge() { return g_lock_pool.state->last_age.fetch_add(1) + 1; }

// Is the entry still this process's? Under its partition's lock, shared at least.
bool IsStillOwn(const OwnLock& held) {
  const LockEntry& entry = EntryAt(held.entry);
  const bool own = entry.Owner() == Self() && IsOf(entry, held.tag());
  CHECK(own || held.expiry_us != 0, "lock entry {} is not its holder's any more", held.entry);
  return own;
}

// What this process holds of the tag; null if nothing. One that was taken away because its time had
// come is forgotten.
OwnLock* FindHeld(LockPlace place, const LockTag& tag) {
  OwnLock* const held = t_held.Find(place, tag);
  if (held == nullptr || held->expiry_us == 0) return held;
  {
    const SharedLock lock(PartitionLock(place.partition()));
    if (IsStillOwn(*held)) return held;
  }
  t_held.Remove(*held);
  return nullptr;
}

void NoteGrant(OwnLock& held, TxLockMode mode, LockScope scope) {
  if (scope == LockScope::kTransaction) {
    held.transaction = Union(held.transaction, mode);
  } else {
    held.session = Union(held.session, mode);
    ++held.session_count;
  }
}

// -- Asking.

enum class Answer : uint8_t { kGranted, kWaits, kRefused, kNoRoom, kGone };

struct Request {
  LockPlace place;
  const LockTag& tag;
  OwnLock* held;      // to be made stronger; null: nothing is held
  TxLockMode wanted;  // all that the process will hold then
  EntryIndex entry = kNoEntry;
};

bool IsBlockedNow(const Request& request) {
  const LockPlace place = request.place;
  // The usual cases without a walk: nobody is near, or transactions that write to one database are
  // many.
  if (g_lock_pool.heads[place.bucket()] == 0) return false;
  const LockPartition& partition = PartitionAt(place.partition());
  const TxLockMode held = request.held != nullptr ? request.held->mode() : TxLockMode::kNone;
  if (request.tag.kind == LockKind::kDatabase && request.wanted <= TxLockMode::kIX &&
      g_lock_pool.strong[request.tag.database].load(std::memory_order_relaxed) == 0) {
    return false;
  }
  const LockClaim claim{Self(), {held, request.wanted}, partition.last_ticket + 1};
  if (!IsBlocked(place, request.tag, claim)) return false;
  if (request.tag.kind != LockKind::kAdvisory) return true;
  if (!RemoveExpired(place, request.tag, Self(), WallClockUs())) return true;
  GrantWaiters(place, request.tag);
  return IsBlocked(place, request.tag, claim);
}

// What is held becomes stronger, or the wish for it is put down. It does not expire meanwhile.
void Strengthen(Request& request, LockState state) {
  LockEntry& entry = EntryAt(request.held->entry);
  request.entry = request.held->entry;
  entry.expiry_us = 0;
  entry.ticket = NextTicket(PartitionAt(request.place.partition()));
  (state.waits() ? entry.waiting_us : entry.granted_us) = WallClockUs();
  SetState(request.place, entry, state);
}

// `may_wait`: what can't be granted is queued.
Answer Ask(Request& request, bool may_wait) {
  const ExclusiveLock lock(PartitionLock(request.place.partition()));
  const bool holds = request.held != nullptr;
  if (holds && !IsStillOwn(*request.held)) return Answer::kGone;
  const bool blocked = IsBlockedNow(request);
  if (blocked && !may_wait) return Answer::kRefused;
  const TxLockMode before = holds ? request.held->mode() : TxLockMode::kNone;
  const LockState state =
      blocked ? LockState{before, request.wanted} : LockState{request.wanted, TxLockMode::kNone};
  if (holds) {
    Strengthen(request, state);
  } else {
    request.entry = AddEntry(request.place, request.tag, Self(), state, WallClockUs());
    if (request.entry == kNoEntry) return Answer::kNoRoom;
  }
  if (!blocked) return Answer::kGranted;
  BeginLockWait(OwnSlot(), request.entry, t_has_age ? 0 : NewAge());
  return Answer::kWaits;
}

Error NoRoom() {
  return MakeError(ErrorCode::kBusy,
                   "no room in the lock table: max_locks is {}, all locks of all clients together",
                   Segment::Config().lock_count);
}

// True: granted. False: refused, when `wait` is null.
Result<bool> Acquire(const LockTag& tag, TxLockMode mode, LockScope scope, const LockWait* wait) {
  const LockPlace place = PlaceOf(tag);
  for (;;) {
    OwnLock* held = FindHeld(place, tag);
    const TxLockMode before = held != nullptr ? held->mode() : TxLockMode::kNone;
    if (held != nullptr && Covers(before, mode)) {
      NoteGrant(*held, mode, scope);
      return true;
    }
    if (held == nullptr) t_held.Reserve();
    Request request{place, tag, held, Union(before, mode)};
    const Answer answer = Ask(request, wait != nullptr);
    if (answer == Answer::kGone) continue;
    if (answer == Answer::kRefused) return false;
    if (answer == Answer::kNoRoom) return NoRoom();
    if (answer == Answer::kWaits) {
      const LockWaiter waiter{.place = place,
                              .tag = tag,
                              .self = Self(),
                              .entry = request.entry,
                              .before = before,
                              .expiry_before_us = held != nullptr ? held->expiry_us : 0};
      RETURN_IF_ERROR(AwaitGrant(waiter, OwnSlot(), *wait));
    }
    if (held == nullptr) {
      held = &t_held.Add({.place = place,
                          .hash = tag.hash,
                          .database = tag.database,
                          .kind = tag.kind,
                          .entry = request.entry});
    }
    held->expiry_us = 0;
    NoteGrant(*held, mode, scope);
    return true;
  }
}

// -- Asking for many.

// So much of a partition is asked for or given back while its lock is held once.
constexpr size_t kMostAtOnce = 32;

// What TagOrder goes by: kind and database, then the place in the table.
using LockOrder = std::pair<uint64_t, uint64_t>;
LockOrder OrderOf(const LockTag& tag, LockPlace place) {
  return {static_cast<uint64_t>(tag.kind) << 32 | tag.database, place.mixed};
}

struct PlacedLock {
  LockOrder order;
  LockPlace place;
  const LockTag* tag;
  TxLockMode mode;
};

// In TagOrder, each tag once.
std::vector<PlacedLock> Placed(std::span<const WantedLock> wanted) {
  std::vector<PlacedLock> placed;
  placed.reserve(wanted.size());
  for (const auto& [tag, mode] : wanted) {
    const LockPlace place = PlaceOf(tag);
    placed.push_back({OrderOf(tag, place), place, &tag, mode});
  }
  std::ranges::sort(placed, {}, &PlacedLock::order);
  size_t kept = 0;
  for (size_t i = 1; i < placed.size(); ++i) {
    PlacedLock& last = placed[kept];
    if (*placed[i].tag == *last.tag) {
      last.mode = Union(last.mode, placed[i].mode);
    } else {
      placed[++kept] = placed[i];
    }
  }
  if (!placed.empty()) placed.resize(kept + 1);
  return placed;
}

// Grants as many of the first ones as nobody has anything against, under one lock; returns how
// many. There is room in t_held.
size_t GrantFirst(std::span<const PlacedLock> next, LockScope scope) {
  const uint32_t partition = next.front().place.partition();
  const int64_t now_us = WallClockUs();
  const ExclusiveLock lock(PartitionLock(partition));
  size_t granted = 0;
  for (; granted < std::min(next.size(), kMostAtOnce); ++granted) {
    const auto& [order, place, tag, mode] = next[granted];
    if (place.partition() != partition || t_held.Find(place, *tag) != nullptr) break;
    if (IsBlockedNow({place, *tag, nullptr, mode})) break;
    const EntryIndex entry = AddEntry(place, *tag, Self(), {mode, TxLockMode::kNone}, now_us);
    if (entry == kNoEntry) break;
    NoteGrant(t_held.Add({.place = place,
                          .hash = tag->hash,
                          .database = tag->database,
                          .kind = tag->kind,
                          .entry = entry}),
              mode, scope);
  }
  return granted;
}

// -- Giving back.

// Brings the entry down to what `held` says, or gives it back if that is nothing. With the
// partition's lock.
void WeakenLocked(const OwnLock& held) {
  if (!IsStillOwn(held)) return;
  LockEntry& entry = EntryAt(held.entry);
  const TxLockMode mode = held.mode();
  if (mode == entry.State().granted) return;
  if (mode == TxLockMode::kNone) {
    RemoveEntry(held.place, held.entry);
  } else {
    SetState(held.place, entry, {mode, TxLockMode::kNone});
  }
  GrantWaiters(held.place, held.tag());
}

void Weaken(const OwnLock& held) {
  const ExclusiveLock lock(PartitionLock(held.place.partition()));
  WeakenLocked(held);
}

// What is left of it without the scope.
TxLockMode ModeWithout(const OwnLock& held, LockScope scope) {
  return scope == LockScope::kTransaction ? held.session : held.transaction;
}

void Forget(OwnLock& held, LockScope scope) {
  if (scope == LockScope::kTransaction) {
    held.transaction = TxLockMode::kNone;
  } else {
    held.session = TxLockMode::kNone;
    held.session_count = 0;
  }
}

// Gives back what the scope asked for with the last of the first `end` and those before it in its
// partition, under one lock; returns how many are left.
size_t ReleaseLast(size_t end, LockScope scope) {
  const uint32_t partition = t_held[end - 1].place.partition();
  const ExclusiveLock lock(PartitionLock(partition));
  size_t left = end;
  while (left > 0 && end - left < kMostAtOnce && t_held[left - 1].place.partition() == partition) {
    OwnLock& held = t_held[--left];
    const bool weaker = ModeWithout(held, scope) != held.mode();
    Forget(held, scope);
    if (weaker) WeakenLocked(held);
  }
  return left;
}

// -- The look.

// May `self` not write a key, or any key of a database, because of `other`'s claim to it?
bool KeepsWriterOut(LockKind kind, LockState other) {
  if (kind == LockKind::kDatabase) return Conflicts(other.granted, TxLockMode::kIX);
  return true;  // every mode conflicts with X, and who waits for one has been there before
}

bool IsCommitting(PackedOwner owner) {
  const Owner unpacked = Unpack(owner);
  const Proc& proc = Segment::Procs()[unpacked.slot];
  return proc.generation.load() == unpacked.generation && proc.commit_lsn.load() != 0;
}

// Does an entry of somebody else for the tag satisfy `counts`?
template <typename Counts>
bool AnyOther(const LockTag& tag, Counts counts) noexcept {
  const LockPlace place = PlaceOf(tag);
  const PackedOwner self = Pack(ProcArray::SelfOwner());
  const SharedLock lock(PartitionLock(place.partition()));
  bool found = false;
  ForEachOf(place, tag, [&](EntryIndex, const LockEntry& entry) {
    found = entry.Owner() != self && counts(entry.Owner(), entry.State());
    return !found;
  });
  return found;
}

// The same for the key and for its database. Two loads while nobody holds anything near.
template <typename Counts>
bool AnyOtherNear(uint32_t database, std::string_view key, Counts counts) noexcept {
  const LockTag tag = KeyTag(database, key);
  if (PartitionAt(PlaceOf(tag).partition()).keys.load(std::memory_order_seq_cst) != 0 &&
      AnyOther(tag, [&](PackedOwner owner, LockState state) {
        return counts(LockKind::kKey, owner, state);
      })) {
    return true;
  }
  return g_lock_pool.strong[database].load(std::memory_order_seq_cst) != 0 &&
         AnyOther(DatabaseTag(database), [&](PackedOwner owner, LockState state) {
           return counts(LockKind::kDatabase, owner, state);
         });
}

// Takes all of the owner's entries in the partition away.
void DropFrom(uint32_t partition_no, PackedOwner owner) {
  const ExclusiveLock lock(PartitionLock(partition_no));
  const EntryIndex begin = partition_no * g_lock_pool.slice;
  for (EntryIndex index = begin; index < begin + PartitionAt(partition_no).fresh; ++index) {
    const LockEntry& entry = EntryAt(index);
    if (entry.Owner() != owner) continue;
    const LockTag tag = TagOf(entry);
    const LockPlace place = PlaceOf(tag);
    RemoveEntry(place, index);
    GrantWaiters(place, tag);
  }
}

}  // namespace

std::string_view LockKindName(LockKind kind) {
  constexpr std::array<std::string_view, 3> kNames = {"database", "key", "advisory"};
  return kNames[static_cast<size_t>(kind)];
}

LockTag DatabaseTag(uint32_t database) { return {LockKind::kDatabase, database, 0, {}}; }
LockTag KeyTag(uint32_t database, std::string_view key) {
  return {LockKind::kKey, database, XXH3_64bits(key.data(), key.size()), key};
}
LockTag AdvisoryTag(std::string_view name) {
  return {LockKind::kAdvisory, 0, XXH3_64bits(name.data(), name.size()), name};
}
bool TagOrder(const LockTag& a, const LockTag& b) {
  return OrderOf(a, PlaceOf(a)) < OrderOf(b, PlaceOf(b));
}

// Who waits in this slot needs no clearing: whoever ended its wait has cleared that, and of a dead
// process DropOwner has, before the slot was given out again.
void LockTable::BindSelf() {
  t_held.Clear();
  t_has_age = false;
}

Status LockTable::Lock(const LockTag& tag, TxLockMode mode, LockScope scope, const LockWait& wait) {
  const Result<bool> granted = Acquire(tag, mode, scope, &wait);
  if (!granted.ok()) return granted.error();
  return {};
}

Status LockTable::LockAll(std::span<const WantedLock> wanted, LockScope scope,
                          const LockWait& wait) {
  const std::vector<PlacedLock> placed = Placed(wanted);
  t_held.Reserve(placed.size());
  for (std::span<const PlacedLock> rest = placed; !rest.empty();) {
    const size_t granted = GrantFirst(rest, scope);
    rest = rest.subspan(granted);
    if (granted != 0) continue;
    // It is held already, has to wait, or there is no room.
    RETURN_IF_ERROR(Lock(*rest.front().tag, rest.front().mode, scope, wait));
    rest = rest.subspan(1);
  }
  return {};
}

Result<bool> LockTable::TryLock(const LockTag& tag, TxLockMode mode, LockScope scope) {
  return Acquire(tag, mode, scope, nullptr);
}

TxLockMode LockTable::Held(const LockTag& tag) {
  const OwnLock* const held = FindHeld(PlaceOf(tag), tag);
  return held != nullptr ? held->mode() : TxLockMode::kNone;
}

size_t LockTable::HeldCount() { return t_held.size(); }

bool LockTable::Unlock(const LockTag& tag) {
  OwnLock* const held = FindHeld(PlaceOf(tag), tag);
  if (held == nullptr || held->session_count == 0) return false;
  if (--held->session_count != 0) return true;
  held->session = TxLockMode::kNone;
  Weaken(*held);
  if (held->mode() == TxLockMode::kNone) t_held.Remove(*held);
  return true;
}

void LockTable::ReleaseAll(LockScope scope) {
  for (size_t left = t_held.size(); left > 0;) {
    OwnLock& last = t_held[left - 1];
    if (ModeWithout(last, scope) != last.mode()) {
      left = ReleaseLast(left, scope);
    } else {
      Forget(last, scope);
      --left;
    }
  }
  t_held.RemoveReleased();
  if (scope == LockScope::kTransaction) t_has_age = false;
}

uint64_t LockTable::Token(const LockTag& tag) {
  const OwnLock* const held = FindHeld(PlaceOf(tag), tag);
  return held != nullptr ? held->token : 0;
}

// Under one lock: else it may lapse and be taken between a look and the store.
bool LockTable::Renew(const LockTag& tag, uint64_t token, std::optional<int64_t> lapse_us) {
  OwnLock* const held = FindHeld(PlaceOf(tag), tag);
  if (held == nullptr) return false;
  const LockPlace place = held->place;
  {
    const ExclusiveLock lock(PartitionLock(place.partition()));
    if (IsStillOwn(*held)) {
      LockEntry& entry = EntryAt(held->entry);
      held->token = token;
      entry.token.store(token, std::memory_order_relaxed);
      if (lapse_us) held->expiry_us = entry.expiry_us = *lapse_us;
      if (lapse_us) WakeWaiters(place, tag);  // they know by now when to look again
      return true;
    }
  }
  t_held.Remove(*held);
  return false;
}

void LockTable::BeginTransaction() {
  OwnSlot().age.store(NewAge(), std::memory_order_relaxed);
  t_has_age = true;
}

bool LockTable::WriteConflicts(uint32_t database, std::string_view key) noexcept {
  return AnyOtherNear(database, key, [](LockKind kind, PackedOwner, LockState state) {
    return KeepsWriterOut(kind, state);
  });
}

bool LockTable::ReadConflicts(uint32_t database, std::string_view key) noexcept {
  return AnyOtherNear(database, key, [](LockKind, PackedOwner owner, LockState state) {
    return state.granted == TxLockMode::kX && IsCommitting(owner);
  });
}

void LockTable::DropOwner(Owner owner) {
  if (WARREN_SEEDED_BUG(entries_stay)) return;
  for (uint32_t partition = 0; partition < kLockPartitions; ++partition) {
    if (PartitionAt(partition).used.load() != 0) DropFrom(partition, Pack(owner));
  }
  g_lock_pool.owners[owner.slot].waits_on.store(0);
}

size_t LockTable::EntryCount() {
  size_t used = 0;
  for (uint32_t partition = 0; partition < kLockPartitions; ++partition) {
    used += PartitionAt(partition).used.load();
  }
  return used;
}

Status LockTable::CheckInvariants() {
  for (uint32_t partition = 0; partition < kLockPartitions; ++partition) {
    RETURN_IF_ERROR(CheckLockPartition(partition));
  }
  return {};
}

void RegisterLockTableRepairs() {
  RegisterRepair(TrancheId::kLockPartition, [](LWLock& lock) noexcept {
    RelinkLockPartition(static_cast<uint32_t>(lock.instance));
  });
  // What it guards are hints: a search that was cut short is made again by the next waiter.
  RegisterRepair(TrancheId::kDeadlock, [](LWLock&) noexcept {});
}

}  // namespace warren
