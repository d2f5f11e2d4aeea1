#include "storage/commit_apply.h"

#include <algorithm>
#include <array>
#include <utility>

#include "storage/expiry.h"
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
    ASSIGN_OR_RETURN(ExclusivePage leaf, FindLeafExclusive(change_.database, change_.key));
    if (!leaf.held()) {
      return change_.kind == CommitOp::kPut ? CreateRoot(change_.database) : NotStored();
    }
    const NodeView node(leaf.bytes());
    const uint32_t slot = node.LowerBound(change_.key);
    const bool stored = slot < node.count() && node.Key(slot) == change_.key;
    if (change_.kind == CommitOp::kPut) return Put(leaf, slot, stored);
    if (!stored) return NotStored();
    if (change_.kind == CommitOp::kSetExpiry) return SetExpiry(leaf, slot);
    return EraseKey(leaf, slot, &leftovers_);
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

// Where the hints of the first changes lead, each to another page. All are looked up before the
// first is followed: the processor's misses of several go on at once, and most of the time goes
// into them.
class HintedPages {
 public:
  explicit HintedPages(std::span<const LoggedChange> changes) {
    for (const LoggedChange& change : changes.first(std::min(changes.size(), pages_.size()))) {
      if (!IsSmallPut(change)) break;
      const PageNo page_no = LeafHint(change.database, change.key).page_no();
      // Of the same leaf's next key this one's record has no room.
      if (page_no == kNoPage || (count_ != 0 && page_no == pages_[count_ - 1])) break;
      pages_[count_++] = page_no;
    }
    if (count_ == 1) return;
    for (const PageNo page_no : pages()) BufferCache::Prefetch(page_no);
  }
  std::span<const PageNo> pages() const { return std::span(pages_).first(count_); }

 private:
  std::array<PageNo, kMaxRecordPages> pages_;
  size_t count_ = 0;
};

// Of the changes, the first ones that can be made with one record; 0: not even the first can be
// without a search. Only the first leaf is waited for, holding nothing: the order of the others,
// and who else wants them, does not matter.
Result<size_t> PutByHints(std::span<const LoggedChange> changes) {
  const HintedPages hinted(changes);
  if (hinted.pages().empty()) return size_t{0};
  LeafPuts puts;
  for (const PageNo page_no : hinted.pages()) {
    const LoggedChange& change = changes[puts.count()];
    const HintWait wait = puts.count() == 0 ? HintWait::kWait : HintWait::kTry;
    ExclusivePage leaf = FindHintedLeaf(page_no, change.database, change.key, wait);
    if (!leaf.held()) break;
    NoteExpiry(change.database, change.expire_at_ms);
    if (!puts.Add(
            std::move(leaf),
            {.key = change.key, .value = change.value, .expire_at_ms = change.expire_at_ms})) {
      break;
    }
  }
  if (puts.count() == 0) return size_t{0};
  RETURN_IF_ERROR(puts.Commit());
  return puts.count();
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
  ASSIGN_OR_RETURN(const size_t made, [&] {
    const Operation operation;
    return PutByHints(changes);
  }());
  for (const LoggedChange& change : changes.first(made)) WakeVacuumFor(change.expire_at_ms);
  if (made != 0) return made;
  RETURN_IF_ERROR(MakeChange(changes.front(), now_ms));
  return size_t{1};
}

}  // namespace warren
