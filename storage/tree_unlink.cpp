// How does a B+tree shrink? (tree_change.h)
#include <string>

#include "base/check.h"
#include "shmem/stats.h"
#include "storage/mini_transaction.h"
#include "storage/page_space.h"
#include "storage/tree.h"
#include "storage/tree_change.h"

namespace warren {
namespace {

// Where the leaf stands, as a search without locks saw it; all of it is checked again under locks.
struct Place {
  PageNo left = kNoPage;  // the child before it
  PageNo node = kNoPage;
  PageNo parent = kNoPage;
  uint32_t parent_count = 0;
  std::string parent_low_key;  // a key below which the parent's only other child would be found
  bool found() const { return left != kNoPage; }
};

// Where the node of `level` that holds `key` stands below its parent.
Result<Place> FindPlace(uint32_t database, uint32_t level, std::string_view key) {
  Place place;
  ASSIGN_OR_RETURN(const SharedPage parent,
                   FindNodeShared(database, level + 1, {SearchTarget::kAt, key}));
  if (!parent.held()) return place;
  const NodeView node(parent.bytes());
  const uint32_t slot = node.ChildSlot({SearchTarget::kAt, key});
  place.parent = parent.page_no();
  place.parent_count = node.count();
  place.parent_low_key = node.Key(0);
  place.node = node.Child(slot);
  if (slot > 0) place.left = node.Child(slot - 1);
  return place;
}

bool IsWhole(const ExclusivePage& page) {
  const auto& header = page.As<PageHeader>();
  return IsTreePage(header) && (header.flags & (kDeletedFlag | kIncompleteSplitFlag)) == 0;
}

bool AreNeighbours(const ExclusivePage& left, const ExclusivePage& right) {
  const auto& l = left.As<PageHeader>();
  const auto& r = right.As<PageHeader>();
  return IsWhole(left) && IsWhole(right) && l.right == right.page_no() && l.level == r.level &&
         l.database == r.database && l.incarnation == r.incarnation &&
         CanSetHighKey(NodeView(left.bytes()), NodeView(right.bytes()).high_key().size());
}

bool IsEmptyLeaf(const ExclusivePage& page) {
  const NodeView node(page.bytes());
  return node.is_leaf() && node.count() == 0;
}

// The slot of `child` in `parent`, if `left` comes right before it; 0 otherwise.
uint32_t SlotBehind(const ExclusivePage& parent, const ExclusivePage& left,
                    const ExclusivePage& child) {
  const auto& header = parent.As<PageHeader>();
  const auto& below = child.As<PageHeader>();
  if (!IsTreePage(header) || (header.flags & kDeletedFlag) != 0 ||
      header.level != below.level + 1 || header.incarnation != below.incarnation ||
      header.database != below.database) {
    return 0;
  }
  const NodeView node(parent.bytes());
  const auto slot = node.SlotOfChild(child.page_no());
  if (!slot.has_value() || *slot == 0 || node.Child(*slot - 1) != left.page_no()) return 0;
  return *slot;
}

// The record for one leaf: left neighbour, leaf, parent.
Result<Step> UnlinkLeaf(const Place& place) {
  ASSIGN_OR_RETURN(ExclusivePage left, BufferCache::GetExclusive(place.left));
  if (!IsWhole(left) || left.As<PageHeader>().right != place.node) return Step::kAgain;
  ASSIGN_OR_RETURN(ExclusivePage leaf, BufferCache::GetExclusive(place.node));
  if (!AreNeighbours(left, leaf) || !IsEmptyLeaf(leaf)) return Step::kDone;
  ASSIGN_OR_RETURN(ExclusivePage parent, BufferCache::GetExclusive(place.parent));
  const uint32_t slot = SlotBehind(parent, left, leaf);
  if (slot == 0) return Step::kAgain;
  MapPages maps;
  RETURN_IF_ERROR(maps.Lock({leaf.page_no()}));
  const NodeView node(leaf.bytes());
  const UnlinkPayload payload{.leaf_right = node.page().right,
                              .inner_right = kNoPage,
                              .parent_slot = static_cast<uint16_t>(slot),
                              .high_bytes = node.header().high_bytes,
                              .inner_high_bytes = 0,
                              .reserved = 0};
  MiniTransaction change(RecordType::kUnlinkLeaf, node.page().database, node.page().incarnation);
  change.AddPage(left, PageRole::kLeft, NodeChanges(NodeView(left.bytes())));
  change.AddPage(leaf, PageRole::kLeaf, HeaderChanges());
  change.AddPage(parent, PageRole::kParent, SlotChanges(NodeView(parent.bytes())));
  maps.Set(change, leaf.page_no(), PageState::kPendingPage);
  change.AddPayload(payload);
  change.AddPayload(node.high_key());
  RETURN_IF_ERROR(change.Commit());
  Stats::Add(StatId::kPageUnlinks);
  return Step::kDone;
}

// The last child of a node, if `right` is that node's right neighbour.
Result<PageNo> LastChildBefore(PageNo node_no, PageNo right) {
  ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(node_no));
  const NodeView node(page.bytes());
  if (!IsTreePage(node.page()) || node.page().level == 0 || node.page().right != right) {
    return kNoPage;
  }
  return node.Child(node.count() - 1);
}

// Both nodes of a branch and the left neighbours that take over from them, and the grandparent.
struct Branch {
  ExclusivePage left_leaf, leaf, left_inner, inner, grandparent;
  uint32_t slot = 0;
};

// Locks them, children and left ones first. False if they are not (any more) what they were.
Result<bool> LockBranch(const Place& inner_place, PageNo leaf_no, PageNo left_leaf_no,
                        Branch& branch) {
  ASSIGN_OR_RETURN(branch.left_leaf, BufferCache::GetExclusive(left_leaf_no));
  if (!IsWhole(branch.left_leaf) || branch.left_leaf.As<PageHeader>().right != leaf_no) {
    return false;
  }
  ASSIGN_OR_RETURN(branch.leaf, BufferCache::GetExclusive(leaf_no));
  if (!AreNeighbours(branch.left_leaf, branch.leaf) || !IsEmptyLeaf(branch.leaf)) return false;
  ASSIGN_OR_RETURN(branch.left_inner, BufferCache::GetExclusive(inner_place.left));
  if (!IsWhole(branch.left_inner) || branch.left_inner.As<PageHeader>().right != inner_place.node) {
    return false;
  }
  ASSIGN_OR_RETURN(branch.inner, BufferCache::GetExclusive(inner_place.node));
  if (!AreNeighbours(branch.left_inner, branch.inner)) return false;
  const NodeView left(branch.left_inner.bytes());
  const NodeView inner(branch.inner.bytes());
  if (inner.is_leaf() || left.Child(left.count() - 1) != left_leaf_no || inner.count() != 1 ||
      inner.Child(0) != leaf_no) {
    return false;
  }
  ASSIGN_OR_RETURN(branch.grandparent, BufferCache::GetExclusive(inner_place.parent));
  branch.slot = SlotBehind(branch.grandparent, branch.left_inner, branch.inner);
  return branch.slot != 0;
}

// The record for a leaf that is its parent's only child: both go, their left neighbours take over.
Result<Step> UnlinkBranch(uint32_t database, std::string_view key, PageNo leaf_no) {
  ASSIGN_OR_RETURN(const Place inner_place, FindPlace(database, 1, key));
  if (!inner_place.found()) return Step::kDone;  // first of its level's part: it stays
  ASSIGN_OR_RETURN(const PageNo left_leaf, LastChildBefore(inner_place.left, inner_place.node));
  if (left_leaf == kNoPage) return Step::kAgain;
  Branch b;
  ASSIGN_OR_RETURN(const bool locked, LockBranch(inner_place, leaf_no, left_leaf, b));
  if (!locked) return Step::kAgain;
  MapPages maps;
  RETURN_IF_ERROR(maps.Lock({b.leaf.page_no(), b.inner.page_no()}));
  const NodeView leaf(b.leaf.bytes());
  const NodeView inner(b.inner.bytes());
  const UnlinkPayload payload{.leaf_right = leaf.page().right,
                              .inner_right = inner.page().right,
                              .parent_slot = static_cast<uint16_t>(b.slot),
                              .high_bytes = leaf.header().high_bytes,
                              .inner_high_bytes = inner.header().high_bytes,
                              .reserved = 0};
  MiniTransaction change(RecordType::kUnlinkBranch, database, leaf.page().incarnation);
  change.AddPage(b.left_leaf, PageRole::kLeft, NodeChanges(NodeView(b.left_leaf.bytes())));
  change.AddPage(b.leaf, PageRole::kLeaf, HeaderChanges());
  change.AddPage(b.left_inner, PageRole::kLeftInner, NodeChanges(NodeView(b.left_inner.bytes())));
  change.AddPage(b.inner, PageRole::kInner, HeaderChanges());
  change.AddPage(b.grandparent, PageRole::kParent, SlotChanges(NodeView(b.grandparent.bytes())));
  maps.Set(change, b.leaf.page_no(), PageState::kPendingPage);
  maps.Set(change, b.inner.page_no(), PageState::kPendingPage);
  change.AddPayload(payload);
  change.AddPayload(leaf.high_key());
  change.AddPayload(inner.high_key());
  RETURN_IF_ERROR(change.Commit());
  Stats::Add(StatId::kPageUnlinks, 2);
  return Step::kDone;
}

// One try. Sets `again_at` to a key of the leaf that is worth a look next.
Result<Step> Unlink(uint32_t database, const std::string& key,
                    std::optional<std::string>& again_at) {
  again_at.reset();
  ASSIGN_OR_RETURN(const Place place, FindPlace(database, 0, key));
  if (place.node == kNoPage) return Step::kDone;  // the leaf is the root
  if (!place.found()) {
    return place.parent_count == 1 ? UnlinkBranch(database, key, place.node)
                                   : Result<Step>(Step::kDone);
  }
  ASSIGN_OR_RETURN(const Step step, UnlinkLeaf(place));
  // With its second child gone, the parent's first one may be an empty leaf that had to stay.
  if (step == Step::kDone && place.parent_count == 2) again_at = place.parent_low_key;
  return step;
}

}  // namespace

void UnlinkEmptyLeaf(uint32_t database, std::string_view key) {
  constexpr int kTries = 4;
  std::optional<std::string> next(key);
  for (int round = 0; round < 2 && next.has_value(); ++round) {
    const std::string at = *next;
    int tries = 0;
    (void)RunSteps([&]() -> Result<Step> {
      ASSIGN_OR_RETURN(const Step step, Unlink(database, at, next));
      return step == Step::kAgain && ++tries >= kTries ? Step::kDone : step;
    });
  }
}

Result<Step> DropTree(uint32_t database, PageNo& old_root) {
  old_root = kNoPage;
  ASSIGN_OR_RETURN(const CatalogEntry seen, ReadCatalogEntry(database));
  if (seen.root == kNoPage) return Step::kDone;
  ASSIGN_OR_RETURN(ExclusivePage root, BufferCache::GetExclusive(seen.root));
  if ((root.As<PageHeader>().flags & kRootFlag) == 0) return Step::kAgain;
  ASSIGN_OR_RETURN(ExclusivePage catalog, BufferCache::GetExclusive(CatalogPageOf(database)));
  const CatalogEntry& entry = catalog.As<CatalogPage>().entries[CatalogIndexOf(database)];
  if (entry.root != root.page_no()) return Step::kAgain;
  MapPages maps;
  RETURN_IF_ERROR(maps.Lock({root.page_no()}));
  const uint32_t incarnation = entry.incarnation + 1;
  const auto from =
      static_cast<uint16_t>(reinterpret_cast<const std::byte*>(&entry) - catalog.bytes());
  MiniTransaction change(RecordType::kDropTree, database, incarnation);
  change.AddPage(root, PageRole::kOldRoot, HeaderChanges());
  change.AddPage(catalog, PageRole::kCatalog,
                 {sizeof(PageHeader), from, static_cast<uint16_t>(from + sizeof(CatalogEntry))});
  maps.Set(change, root.page_no(), PageState::kPendingChain);
  change.CountKeys(0, 0);  // of the new incarnation
  // Before and after, while no search gets past root or catalog: a stamp that was taken before the
  // keys went differs from any later one.
  std::atomic<uint64_t>& flushes = Segment::Database(database).flushes;
  flushes.fetch_add(1);
  RETURN_IF_ERROR(change.Commit());
  flushes.fetch_add(1);
  old_root = root.page_no();
  return Step::kDone;
}

}  // namespace warren
