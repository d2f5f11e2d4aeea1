#include "storage/commit_apply.h"

#include "storage/expiry.h"
#include "storage/leaf_change.h"
#include "storage/operation.h"
#include "storage/reclaim.h"
#include "storage/tree.h"
#include "storage/tree_change.h"

namespace warren {
namespace {

// What a change frees of a chain that it replaced; the rest is left to later allocations.
constexpr uint64_t kPagesFreedAtOnce = 256;

// One change of one key.
class KeyChanger {
 public:
  KeyChanger(const LoggedChange& change, int64_t now_ms) : change_(change), now_ms_(now_ms) {}

  Status Run() {
    const Status status = RunSteps([this] { return Attempt(); });
    CleanUp();
    return status;
  }

 private:
  Result<Step> Attempt() {
    ASSIGN_OR_RETURN(ExclusivePage leaf,
                     FindNodeExclusive(change_.database, 0, {SearchTarget::kAt, change_.key}));
    if (!leaf.held()) {
      return change_.kind == CommitOp::kPut ? CreateRoot(change_.database) : NotStored();
    }
    const NodeView node(leaf.bytes());
    const uint32_t slot = node.LowerBound(change_.key);
    const bool stored = slot < node.count() && node.Key(slot) == change_.key;
    if (change_.kind == CommitOp::kPut) return Put(leaf, slot, stored);
    if (!stored) return NotStored();
    if (change_.kind == CommitOp::kSetExpiry) return SetExpiry(leaf, slot);
    ASSIGN_OR_RETURN(const Step step, EraseKey(leaf, slot, &old_chain_));
    leaf_emptied_ = NodeView(leaf.bytes()).count() == 0;
    return step;
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
    return PutKey(leaf, slot, stored, cell, &old_chain_);
  }

  Result<Step> SetExpiry(ExclusivePage& leaf, uint32_t slot) {
    const LeafCell old = NodeView(leaf.bytes()).Leaf(slot);
    if (old.ExpiredAt(now_ms_)) return Step::kDone;
    NewCell cell;
    cell.key = change_.key;
    cell.expire_at_ms = change_.expire_at_ms;
    if (old.is_overflow()) {
      cell.head = old.overflow_head();
      cell.chain_bytes = old.value_bytes();
    } else {
      cell.value = old.inline_value();
    }
    NoteExpiry(change_.database, cell.expire_at_ms);
    return PutKey(leaf, slot, true, cell, &old_chain_);
  }

  // What may fail without harm: garbage that stays is collected later.
  void CleanUp() {
    if (old_chain_ != kNoPage) (void)FreeChain(old_chain_, kPagesFreedAtOnce);
    if (leaf_emptied_) UnlinkEmptyLeaf(change_.database, change_.key);
    FinishSplitMet();
    WakeVacuumFor(change_.expire_at_ms);
  }

  const LoggedChange& change_;
  const int64_t now_ms_;
  PageNo old_chain_ = kNoPage;
  bool leaf_emptied_ = false;
};

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

}  // namespace warren
