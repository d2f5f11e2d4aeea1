#include "storage/commit_apply.h"

#include <algorithm>
#include <array>

#include "storage/expiry.h"
#include "storage/hinted_puts.h"
#include "storage/leaf_change.h"
#include "storage/leaf_hint.h"
#include "storage/operation.h"
#include "storage/reclaim.h"
#include "storage/tree.h"
#include "storage/tree_change.h"

namespace warren {
namespace {

// One change of one key.
class KeyChanger {
 public:
  KeyChanger(const LoggedChange& change, int64_t now_ms) : change_(change), now_ms_(now_ms) {}

  Status Run() {
    const Status status = RunSteps([this] { return Attempt(); });
    CleanUpAfter(change_.database, change_.key, leftovers_);
    WakeVacuumFor(change_.expire_at_ms);
    return status;
  }

 private:
  Result<Step> Attempt() {
    ASSIGN_OR_RETURN(FoundLeaf<ExclusivePage> leaf,
                     FindLeafExclusive(change_.database, change_.key));
    if (!leaf.held()) {
      return change_.kind == CommitOp::kPut ? CreateRoot(change_.database) : NotStored();
    }
    const auto [slot, stored] = leaf.at;
    if (change_.kind == CommitOp::kPut) return Put(leaf.page, slot, stored);
    if (!stored) return NotStored();
    if (change_.kind == CommitOp::kSetExpiry) return SetExpiry(leaf.page, slot);
    return EraseKey(leaf.page, slot, &leftovers_);
  }

  // A key that the same transaction has put and erased: whoever watches for it to come has missed
  // it.
  Result<Step> NotStored() {
    if (change_.kind == CommitOp::kErase) NoteRemoval(change_.database, change_.key);
    return Step::kDone;
  }

  Result<Step> Put(ExclusivePage& leaf, uint32_t slot, bool stored) {
    NewCell cell{.key = change_.key,
                 .value = change_.value,
                 .head = change_.head,
                 .chain_bytes = change_.chain_bytes,
                 .expire_at_ms = change_.expire_at_ms};
    NoteExpiry(change_.database, cell.expire_at_ms);
    return PutKey(leaf, slot, stored, cell, &leftovers_);
  }

  Result<Step> SetExpiry(ExclusivePage& leaf, uint32_t slot) {
    const LeafCell old = NodeView(leaf.bytes()).Leaf(slot);
    if (old.ExpiredAt(now_ms_)) return Step::kDone;
    const NewCell cell = WithExpiry(old, change_.key, change_.expire_at_ms);
    NoteExpiry(change_.database, cell.expire_at_ms);
    return PutKey(leaf, slot, true, cell, &leftovers_);
  }

  const LoggedChange& change_;
  const int64_t now_ms_;
  KeyLeftovers leftovers_;
};

bool IsSmallPut(const LoggedChange& change) {
  return change.kind == CommitOp::kPut && change.head == kNoPage;
}

// The first of the changes, as many as go into one record.
Result<size_t> PutFirst(std::span<const LoggedChange> changes, int64_t now_ms) {
  const uint32_t database = changes.front().database;
  std::array<KeyPut, kMaxRecordPages> puts;
  std::array<std::string_view, kMaxRecordPages> keys;
  size_t count = 0;
  for (const LoggedChange& change : changes.first(std::min(changes.size(), puts.size()))) {
    if (!IsSmallPut(change) || change.database != database) break;
    keys[count] = change.key;
    puts[count++] = {change.key, change.value, change.expire_at_ms};
  }
  PrefetchLeaves(database, std::span(keys).first(count));
  const Operation operation;
  return PutByHints(database, std::span(puts).first(count), now_ms, LockLook::kHolder);
}

// Whoever is at it again must not empty what has been put there since.
Status EmptyDatabase(const LoggedChange& change) {
  PageNo old_root = kNoPage;
  RETURN_IF_ERROR(RunSteps([&]() -> Result<Step> {
    ASSIGN_OR_RETURN(const CatalogEntry entry, ReadCatalogEntry(change.database));
    if (entry.incarnation != change.incarnation) return Step::kDone;
    return DropTree(change.database, old_root);
  }));
  FreeDroppedTree(old_root);
  return {};
}

}  // namespace

Status MakeChange(const LoggedChange& change, int64_t now_ms) {
  if (change.kind == CommitOp::kEmptyDatabase) return EmptyDatabase(change);
  return KeyChanger(change, now_ms).Run();
}

Result<size_t> MakeChanges(std::span<const LoggedChange> changes, int64_t now_ms) {
  ASSIGN_OR_RETURN(const size_t made, PutFirst(changes, now_ms));
  for (const LoggedChange& change : changes.first(made)) WakeVacuumFor(change.expire_at_ms);
  if (made != 0) return made;
  RETURN_IF_ERROR(MakeChange(changes.front(), now_ms));
  return size_t{1};
}

}  // namespace warren
