// How does a B+tree grow? (tree_change.h)
#include "base/check.h"
#include "shmem/stats.h"
#include "storage/data_file.h"
#include "storage/mini_transaction.h"
#include "storage/page_space.h"
#include "storage/tree.h"
#include "storage/tree_change.h"

namespace warren {
namespace {

// How full the left page stays when keys arrive in order at the right edge.
constexpr uint32_t kEdgeFillPercent = 90;

struct SplitPlan {
  uint32_t keep;               // cells that stay left
  std::string_view separator;  // in the node's own memory
};

// The shortest key that is above `left` and not above `right`.
std::string_view ShortestSeparator(std::string_view left, std::string_view right) {
  size_t common = 0;
  while (common < left.size() && left[common] == right[common]) ++common;
  return right.substr(0, common + 1);
}

std::string_view SeparatorAt(NodeView node, uint32_t keep) {
  // The first key of an inner page is its low key, which has to be the separator exactly.
  return node.is_leaf() ? ShortestSeparator(node.Key(keep - 1), node.Key(keep)) : node.Key(keep);
}

SplitPlan PlanSplit(NodeView node, uint32_t insert_slot) {
  const uint32_t count = node.count();
  CHECK(count >= 2, "page {} cannot be split", node.page().page_no);
  uint32_t total = 0;
  for (uint32_t slot = 0; slot < count; ++slot) total += node.CellBytes(slot) + kSlotBytes;
  const bool at_edge = !node.has_high_key() && insert_slot == count;
  const uint32_t wanted = at_edge ? total / 100 * kEdgeFillPercent : total / 2;
  uint32_t keep = 0;
  uint32_t left = 0;
  while (keep < count - 1 && left < wanted) left += node.CellBytes(keep++) + kSlotBytes;
  // The left page must hold its new high key, too.
  while (keep > 1 && sizeof(NodeHeader) + left + SeparatorAt(node, keep).size() > kPageBytes) {
    left -= node.CellBytes(--keep) + kSlotBytes;
  }
  return {keep, SeparatorAt(node, keep)};
}

// The right half, in private memory.
const std::byte* MakeRightImage(NodeView node, PageNo right_no, uint32_t keep) {
  alignas(8) thread_local std::byte image[kPageBytes];
  const PageHeader& page = node.page();
  InitNode(image, right_no, page.database, page.incarnation, page.level);
  SetHighKey(image, node.has_high_key() ? node.high_key() : std::string_view());
  HeaderOf(image).right = page.right;
  for (uint32_t slot = keep; slot < node.count(); ++slot) {
    const uint32_t bytes = node.CellBytes(slot);
    std::memcpy(PlaceCell(image, slot - keep, false, bytes, node.Key(slot)), node.CellAt(slot),
                bytes);
  }
  return image;
}

// The split itself; the node stays locked.
Result<Step> Split(ExclusivePage& left, uint32_t insert_slot) {
  MapPages maps;
  ExclusivePage right;
  ASSIGN_OR_RETURN(const bool allocated, AllocatePage({}, maps, right));
  if (!allocated) return Step::kNeedRoom;
  const NodeView node(left.bytes());
  const SplitPlan plan = PlanSplit(node, insert_slot);
  const SplitPayload payload{.right = right.page_no(),
                             .keep = static_cast<uint16_t>(plan.keep),
                             .separator_bytes = static_cast<uint16_t>(plan.separator.size())};
  MiniTransaction change(RecordType::kSplit, node.page().database, node.page().incarnation);
  change.AddPage(left, PageRole::kLeft, NodeChanges(node));
  change.AddNewPage(right, MakeRightImage(node, right.page_no(), plan.keep));
  maps.Set(change, right.page_no(), PageState::kUsed);
  change.AddPayload(payload);
  change.AddPayload(plan.separator);
  RETURN_IF_ERROR(change.Commit());
  Stats::Add(StatId::kPageSplits);
  return Step::kDone;
}

const std::byte* MakeRootImage(PageNo root_no, NodeView left) {
  alignas(8) thread_local std::byte image[kPageBytes];
  const PageHeader& page = left.page();
  InitNode(image, root_no, page.database, page.incarnation, static_cast<uint16_t>(page.level + 1));
  HeaderOf(image).flags = kRootFlag;
  AppendInnerCell(image, {}, page.page_no);
  AppendInnerCell(image, left.high_key(), page.right);
  return image;
}

ChangedBytes CatalogChanges(uint32_t database) {
  const auto from = static_cast<uint16_t>(offsetof(CatalogPage, entries) +
                                          CatalogIndexOf(database) * sizeof(CatalogEntry));
  return {sizeof(PageHeader), from, static_cast<uint16_t>(from + sizeof(CatalogEntry))};
}

const CatalogEntry& EntryIn(const ExclusivePage& catalog, uint32_t database) {
  return catalog.As<CatalogPage>().entries[CatalogIndexOf(database)];
}

// A new root above `left`, which is the root and has been split.
Result<Step> GrowRoot(ExclusivePage& left) {
  const NodeView node(left.bytes());
  const uint32_t database = node.page().database;
  ASSIGN_OR_RETURN(ExclusivePage catalog, BufferCache::GetExclusive(CatalogPageOf(database)));
  CHECK(EntryIn(catalog, database).root == left.page_no(),
        "page {} calls itself the root of database {}, the catalog names page {}", left.page_no(),
        database, EntryIn(catalog, database).root);
  MapPages maps;
  ExclusivePage root;
  ASSIGN_OR_RETURN(const bool allocated, AllocatePage({}, maps, root));
  if (!allocated) return Step::kNeedRoom;
  const RootPayload payload{root.page_no()};
  MiniTransaction change(RecordType::kGrowRoot, database, node.page().incarnation);
  change.AddPage(left, PageRole::kOldRoot, HeaderChanges());
  change.AddNewPage(root, MakeRootImage(root.page_no(), node));
  change.AddPage(catalog, PageRole::kCatalog, CatalogChanges(database));
  maps.Set(change, root.page_no(), PageState::kUsed);
  change.AddPayload(payload);
  RETURN_IF_ERROR(change.Commit());
  return Step::kDone;
}

// The parent's entry for the right half; there is room for it.
Status InsertParentEntry(ExclusivePage& left, ExclusivePage& parent, uint32_t slot,
                         uint32_t bytes) {
  const NodeView child(left.bytes());
  const NodeView node(parent.bytes());
  const InnerInsertPayload payload{.child = child.page().right,
                                   .slot = static_cast<uint16_t>(slot),
                                   .key_bytes = child.header().high_bytes};
  const bool compact = PlanCell(node, slot, false, bytes) == Placement::kCompact;
  MiniTransaction change(RecordType::kInnerInsert, node.page().database, node.page().incarnation);
  change.AddPage(left, PageRole::kChild, HeaderChanges());
  change.AddPage(parent, PageRole::kParent, compact ? NodeChanges(node) : SlotChanges(node));
  change.AddPayload(payload);
  change.AddPayload(child.high_key());
  return change.Commit();
}

bool IsIncomplete(const PageHeader& page) {
  return IsTreePage(page) && (page.flags & kIncompleteSplitFlag) != 0 &&
         (page.flags & kDeletedFlag) == 0;
}

const std::byte* MakeEmptyRootImage(PageNo root_no, uint32_t database, uint32_t incarnation) {
  alignas(8) thread_local std::byte image[kPageBytes];
  InitNode(image, root_no, static_cast<uint16_t>(database), incarnation, 0);
  HeaderOf(image).flags = kRootFlag;
  return image;
}

}  // namespace

Result<Step> CreateRoot(uint32_t database) {
  ASSIGN_OR_RETURN(ExclusivePage catalog, BufferCache::GetExclusive(CatalogPageOf(database)));
  if (EntryIn(catalog, database).root != kNoPage) return Step::kAgain;
  const uint32_t incarnation = EntryIn(catalog, database).incarnation;
  MapPages maps;
  ExclusivePage root;
  ASSIGN_OR_RETURN(const bool allocated, AllocatePage({}, maps, root));
  if (!allocated) return Step::kNeedRoom;
  const RootPayload payload{root.page_no()};
  MiniTransaction change(RecordType::kCreateRoot, database, incarnation);
  change.AddNewPage(root, MakeEmptyRootImage(root.page_no(), database, incarnation));
  change.AddPage(catalog, PageRole::kCatalog, CatalogChanges(database));
  maps.Set(change, root.page_no(), PageState::kUsed);
  change.AddPayload(payload);
  RETURN_IF_ERROR(change.Commit());
  return Step::kAgain;
}

Result<Step> SplitNode(ExclusivePage node, uint32_t insert_slot) {
  const PageNo page_no = node.page_no();
  // A node has one flag, so it can't be split again before its former right half has its entry.
  if (!IsIncomplete(node.As<PageHeader>())) {
    ASSIGN_OR_RETURN(const Step split, Split(node, insert_slot));
    if (split != Step::kDone) return split;
  }
  node.Release();
  for (;;) {
    ASSIGN_OR_RETURN(const Step finished, FinishSplit(page_no));
    if (finished == Step::kNeedRoom) return finished;
    if (finished == Step::kDone) return Step::kAgain;
  }
}

namespace {

// The parent's entry for the right half of a split node that is not the root.
Result<Step> FinishBelowRoot(PageNo left_no) {
  ASSIGN_OR_RETURN(ExclusivePage left, BufferCache::GetExclusive(left_no));
  const PageHeader& page = left.As<PageHeader>();
  if (!IsIncomplete(page)) return Step::kDone;
  const NodeView child(left.bytes());
  // With the child locked, its parents can be searched for: nobody waits for a child while holding
  // a parent.
  ForgetRoot(page.database);
  const SearchTarget target{SearchTarget::kAt, child.high_key()};
  ASSIGN_OR_RETURN(ExclusivePage parent, FindNodeExclusive(page.database, page.level + 1u, target));
  if (!parent.held() || parent.As<PageHeader>().incarnation != page.incarnation) {
    return Step::kDone;  // the tree was dropped; its right links are all that its garbage needs
  }
  const NodeView node(parent.bytes());
  const uint32_t slot = node.LowerBound(child.high_key());
  const uint32_t bytes = kInnerCellHeaderBytes + child.header().high_bytes;
  if (PlanCell(node, slot, false, bytes) == Placement::kNoRoom) {
    left.Release();
    return SplitNode(std::move(parent), slot);
  }
  RETURN_IF_ERROR(InsertParentEntry(left, parent, slot, bytes));
  return Step::kDone;
}

}  // namespace

Result<Step> FinishSplit(PageNo left_no) {
  PageHeader seen;
  {
    ASSIGN_OR_RETURN(ExclusivePage left, BufferCache::GetExclusive(left_no));
    seen = left.As<PageHeader>();
    if (!IsIncomplete(seen)) return Step::kDone;
    if ((seen.flags & kRootFlag) != 0) return GrowRoot(left);
  }
  ASSIGN_OR_RETURN(const std::optional<RootSeen> root, LookAtRoot(seen.database));
  if (!root.has_value() || root->incarnation != seen.incarnation) return Step::kDone;  // dropped
  if (root->level > seen.level) return FinishBelowRoot(left_no);
  // There are no parents yet: the root's own split comes first.
  ASSIGN_OR_RETURN(const Step step, FinishSplit(root->page_no));
  return step == Step::kNeedRoom ? step : Step::kAgain;
}

void FinishSplitMet() {
  const IncompleteSplit split = TakeIncompleteSplit();
  if (!split.met) return;
  // The page is searched for again: between two Operations its number may come to mean another
  // page.
  (void)RunSteps([&]() -> Result<Step> {
    PageNo left = kNoPage;
    {
      ASSIGN_OR_RETURN(
          const SharedPage page,
          FindNodeShared(split.database, split.level, {SearchTarget::kBefore, split.high_key}));
      if (!page.held()) return Step::kDone;
      left = page.page_no();
    }
    return FinishSplit(left);
  });
}

}  // namespace warren
