// Read and Modify: one key (store.h).
#include "storage/store.h"

#include <algorithm>

#include "base/check.h"
#include "base/seeded_bug.h"
#include "shmem/lock_table.h"
#include "shmem/stats.h"
#include "storage/database_counts.h"
#include "storage/expiry.h"
#include "storage/hinted_puts.h"
#include "storage/leaf_change.h"
#include "storage/operation.h"
#include "storage/overflow.h"
#include "storage/reclaim.h"
#include "storage/store_stamp.h"
#include "storage/tree.h"
#include "storage/tree_change.h"

namespace warren {
namespace {

// False in a build of its own, to measure what the look costs (bench/).
#ifdef WARREN_WITHOUT_LOOK
constexpr bool kLooks = false;
#else
constexpr bool kLooks = true;
#endif

// Of this process: the value of a key whose chain had to be read.
thread_local ValueBuffer t_value;

void CheckKey(uint32_t database, std::string_view key) {
  CHECK(key.size() <= kMaxKeyBytesLimit, "key of {} bytes", key.size());
  CHECK(database < Segment::Config().database_count, "no database {}", database);
}

// A cell as callbacks see it, but for the value.
Current Describe(const LeafCell& cell) {
  return {
      .exists = true, .value = {}, .expire_at_ms = cell.expire_at_ms(), .version = cell.version()};
}

Error Conflict() { return MakeError(ErrorCode::kConflict, "somebody else has locked the key"); }

// -- Reading.

class Reader {
 public:
  using Callback = FunctionRef<void(const Current&, uint64_t)>;
  Reader(uint32_t database, std::string_view key, int64_t now_ms, NeedValue need, LockLook look,
         LeafStamp* stamp)
      : database_(database), key_(key), now_ms_(now_ms), need_(need), look_(look), stamp_(stamp) {}

  Result<Step> Attempt(Callback read) {
    ASSIGN_OR_RETURN(FoundLeaf<SharedPage> leaf, FindLeafShared(database_, key_));
    // While the leaf is locked. Without a leaf: who commits meanwhile is not seen by anybody yet.
    if (kLooks && look_ == LockLook::kLook && !WARREN_SEEDED_BUG(no_read_look) &&
        LockTable::ReadConflicts(database_, key_)) {
      return Conflict();
    }
    if (stamp_ != nullptr) *stamp_ = StampOf(database_, leaf.page);
    exists = met_expired = false;
    if (!leaf.at.stored) return Absent(read);
    const LeafCell cell = leaf.node().Leaf(leaf.at.slot);
    if (cell.ExpiredAt(now_ms_)) {
      met_expired = true;
      return Absent(read);
    }
    exists = true;
    Current current = Describe(cell);
    const uint64_t value_bytes = cell.value_bytes();
    if (need_ == NeedValue::kYes && cell.is_overflow()) {
      const PageNo head = cell.overflow_head();
      leaf.page.Release();
      ASSIGN_OR_RETURN(char* const to, t_value.Reserve(value_bytes));
      RETURN_IF_ERROR(ReadChain(head, value_bytes, to));
      current.value = {to, value_bytes};
    } else if (need_ == NeedValue::kYes) {
      current.value = cell.inline_value();
    }
    read(current, value_bytes);
    return Step::kDone;
  }

  bool exists = false;
  bool met_expired = false;

 private:
  static Step Absent(Callback read) {
    read(Current{}, 0);
    return Step::kDone;
  }

  uint32_t database_;
  std::string_view key_;
  int64_t now_ms_;
  NeedValue need_;
  LockLook look_;
  LeafStamp* stamp_;
};

// -- Changing.

// One Modify. Attempt runs inside an Operation and ends by saying what has to be done outside:
// calling `decide` with a value that was read from its chain, or building a chain. What was decided
// is carried out only if the key is then still what it was decided for: its version says so.
class Modifier {
 public:
  using Decide = FunctionRef<Change(const Current&, uint64_t)>;
  Modifier(uint32_t database, std::string_view key, int64_t now_ms, NeedValue need, Decide decide,
           LockLook look)
      : database_(database),
        key_(key),
        now_ms_(now_ms),
        need_(need),
        decide_(decide),
        look_(look) {}

  Result<Change::Kind> Run() {
    Status status = RunPhases();
    if (built_ != kNoPage) DiscardChain(built_);
    if (stale_ != kNoPage) DiscardChain(stale_);
    CleanUp();
    if (!status.ok()) return std::move(status).error();
    return done_;
  }

  bool removed_expired() const { return removed_expired_; }

 private:
  enum class Phase : uint8_t { kDone, kDecide, kBuild };

  bool SkipsLook() {
    return WARREN_SEEDED_BUG(no_write_look) ||
           (WARREN_SEEDED_BUG(no_second_look) && std::exchange(has_looked_, true));
  }

  Status RunPhases() {
    for (;;) {
      RETURN_IF_ERROR(RunSteps([this] { return Attempt(); }));
      if (phase_ == Phase::kDone) return {};
      if (phase_ == Phase::kDecide) DecideFor(read_, read_.value.size());
      RETURN_IF_ERROR(BuildChainIfNeeded());
    }
  }

  Status BuildChainIfNeeded() {
    if (stale_ != kNoPage) DiscardChain(std::exchange(stale_, kNoPage));
    if (!WantsChain()) return {};
    ASSIGN_OR_RETURN(built_, BuildChain(database_, change_.value));
    return {};
  }
  bool WantsChain() const {
    return change_.kind == Change::kPut && built_ == kNoPage &&
           NeedsChain(key_, change_.value.size());
  }

  bool DecidedFor(const Current& current) const {
    return decided_ && basis_exists_ == current.exists &&
           (!current.exists || basis_version_ == current.version);
  }

  void DecideFor(const Current& current, uint64_t value_bytes) {
    const std::string_view former = change_.value;
    change_ = decide_(current, value_bytes);
    decided_ = true;
    basis_exists_ = current.exists;
    basis_version_ = current.version;
    // Without the value, `decide` may only put the same bytes at the same place (store.h): a chain
    // that was built for them still holds them.
    const bool same_bytes = need_ == NeedValue::kNo && change_.value.data() == former.data() &&
                            change_.value.size() == former.size();
    if (built_ != kNoPage && !same_bytes) stale_ = std::exchange(built_, kNoPage);
  }

  Result<Step> Attempt() {
    phase_ = Phase::kDone;
    ASSIGN_OR_RETURN(FoundLeaf<ExclusivePage> found, FindLeafExclusive(database_, key_));
    // Each time anew: whoever was granted the key since the leaf was let go keeps us out.
    if (kLooks && look_ == LockLook::kLook && !SkipsLook() &&
        LockTable::WriteConflicts(database_, key_)) {
      return Conflict();
    }
    if (!found.held()) return AttemptWithoutTree();
    ExclusivePage& leaf = found.page;
    const NodeView node = found.node();
    slot_ = found.at.slot;
    stored_ = found.at.stored;
    expired_ = stored_ && node.Leaf(slot_).ExpiredAt(now_ms_);
    if (!stored_ || expired_) {
      if (!DecidedFor(Current{})) DecideFor(Current{}, 0);
      return Apply(leaf);
    }
    const LeafCell cell = node.Leaf(slot_);
    Current current = Describe(cell);
    if (!DecidedFor(current)) {
      if (need_ == NeedValue::kYes && cell.is_overflow()) return ReadValue(leaf, cell, current);
      if (need_ == NeedValue::kYes) current.value = cell.inline_value();
      DecideFor(current, cell.value_bytes());
    }
    return Apply(leaf);
  }

  Result<Step> AttemptWithoutTree() {
    stored_ = expired_ = false;
    if (!DecidedFor(Current{})) DecideFor(Current{}, 0);
    return change_.kind == Change::kPut ? CreateRoot(database_) : Result<Step>(Step::kDone);
  }

  // The chain is read without the leaf's lock, and `decide` called after the Operation.
  Result<Step> ReadValue(ExclusivePage& leaf, LeafCell cell, Current current) {
    const PageNo head = cell.overflow_head();
    const uint64_t bytes = cell.value_bytes();
    leaf.Release();
    ASSIGN_OR_RETURN(char* const to, t_value.Reserve(bytes));
    RETURN_IF_ERROR(ReadChain(head, bytes, to));
    current.value = {to, bytes};
    read_ = current;
    phase_ = Phase::kDecide;
    return Step::kDone;
  }

  Result<Step> Apply(ExclusivePage& leaf) {
    const bool exists = stored_ && !expired_;
    if (change_.kind == Change::kPut) return ApplyPut(leaf);
    if (change_.kind == Change::kSetExpiry && exists) return ApplySetExpiry(leaf);
    if (!expired_ && !(exists && change_.kind == Change::kErase)) return Step::kDone;
    ASSIGN_OR_RETURN(const Step step, EraseKey(leaf, slot_, &leftovers_));
    if (exists) done_ = Change::kErase;
    if (expired_) NoteExpired();
    return step;
  }

  Result<Step> ApplyPut(ExclusivePage& leaf) {
    if (WantsChain() || stale_ != kNoPage) {
      phase_ = Phase::kBuild;
      return Step::kDone;
    }
    NewCell cell;
    cell.key = key_;
    cell.expire_at_ms = change_.expire_at_ms;
    if (built_ != kNoPage) {
      cell.head = built_;
      cell.chain_bytes = change_.value.size();
    } else {
      cell.value = change_.value;
    }
    NoteExpiry(database_, cell.expire_at_ms);
    ASSIGN_OR_RETURN(const Step step, PutKey(leaf, slot_, stored_, cell, &leftovers_));
    if (step != Step::kDone) return step;
    built_ = kNoPage;  // linked
    done_ = Change::kPut;
    if (expired_) NoteExpired();
    return step;
  }

  void NoteExpired() {
    removed_expired_ = true;
    Stats::Add(StatId::kExpiredKeys);
  }

  Result<Step> ApplySetExpiry(ExclusivePage& leaf) {
    const LeafCell old = NodeView(leaf.bytes()).Leaf(slot_);
    const NewCell cell = WithExpiry(old, key_, change_.expire_at_ms);
    NoteExpiry(database_, cell.expire_at_ms);
    ASSIGN_OR_RETURN(const Step step, PutKey(leaf, slot_, true, cell, &leftovers_));
    if (step == Step::kDone) done_ = Change::kSetExpiry;
    return step;
  }

  void CleanUp() {
    CleanUpAfter(database_, key_, leftovers_);
    if (done_ == Change::kPut || done_ == Change::kSetExpiry) {
      WakeVacuumFor(change_.expire_at_ms);
    }
    t_value.Trim();
  }

  const uint32_t database_;
  const std::string_view key_;
  const int64_t now_ms_;
  const NeedValue need_;
  const Decide decide_;
  const LockLook look_;

  // What was decided, and for which state of the key.
  bool decided_ = false;
  bool basis_exists_ = false;
  uint64_t basis_version_ = 0;
  Change change_;
  PageNo built_ = kNoPage;  // a chain that holds change_.value, not linked yet
  PageNo stale_ = kNoPage;  // one that was built for a former decision

  // Of the last Attempt.
  Phase phase_ = Phase::kDone;
  Current read_;  // kDecide
  uint32_t slot_ = 0;
  bool stored_ = false;
  bool expired_ = false;
  bool has_looked_ = false;

  // Of the change that was made.
  Change::Kind done_ = Change::kKeep;
  KeyLeftovers leftovers_;
  bool removed_expired_ = false;
};

}  // namespace

Result<bool> Store::Read(uint32_t database, std::string_view key, int64_t now_ms, NeedValue need,
                         FunctionRef<void(const Current&, uint64_t value_bytes)> read,
                         LockLook look, LeafStamp* stamp) {
  CheckKey(database, key);
  Reader reader(database, key, now_ms, need, look, stamp);
  RETURN_IF_ERROR(RunSteps([&] { return reader.Attempt(read); }));
  t_value.Trim();
  // The key is gone for everybody already; that its cell is still there harms nobody if this fails.
  if (reader.met_expired) (void)Expire(database, key, now_ms);
  return reader.exists;
}

size_t Store::PutAtOnce(uint32_t database, std::span<const KeyPut> puts, int64_t now_ms) {
  static_assert(kMostPutAtOnce <= kMaxRecordPages);
  size_t count = 0;
  for (const KeyPut& put : puts.first(std::min(puts.size(), kMostPutAtOnce))) {
    CheckKey(database, put.key);
    if (NeedsChain(put.key, put.value.size())) break;
    ++count;
  }
  const LockLook look = kLooks ? LockLook::kLook : LockLook::kHolder;
  const Operation operation;
  const Result<size_t> made = PutByHints(database, puts.first(count), now_ms, look);
  return made.ok() ? *made : 0;
}

Result<bool> Store::Expire(uint32_t database, std::string_view key, int64_t now_ms, LockLook look) {
  CheckKey(database, key);
  auto keep = [](const Current&, uint64_t) { return Change{}; };
  Modifier modifier(database, key, now_ms, NeedValue::kNo, keep, look);
  const Result<Change::Kind> done = modifier.Run();
  if (!done.ok()) {
    if (done.error().code == ErrorCode::kConflict) return false;
    return done.error();
  }
  return modifier.removed_expired();
}

Result<Change::Kind> Store::Modify(uint32_t database, std::string_view key, int64_t now_ms,
                                   NeedValue need,
                                   FunctionRef<Change(const Current&, uint64_t value_bytes)> decide,
                                   LockLook look) {
  CheckKey(database, key);
  return Modifier(database, key, now_ms, need, decide, look).Run();
}

uint64_t Store::KeyCount(uint32_t database) {
  return CountOf(Segment::Database(database).keys.load(std::memory_order_relaxed));
}

uint64_t Store::ExpiresCount(uint32_t database) {
  return CountOf(Segment::Database(database).expires.load(std::memory_order_relaxed));
}

Status Store::Flush(uint32_t database) {
  CheckKey(database, {});
  PageNo old_root = kNoPage;
  RETURN_IF_ERROR(RunSteps([&] { return DropTree(database, old_root); }));
  FreeDroppedTree(old_root);
  return {};
}

}  // namespace warren
