#include "storage/leaf_change.h"

#include "shmem/lock_table.h"
#include "storage/mini_transaction.h"
#include "storage/page_space.h"
#include "storage/reclaim.h"
#include "storage/tree_change.h"

namespace warren {
namespace {

// What a change frees of a chain that it replaced; the rest is left to later allocations.
constexpr uint64_t kPagesFreedAtOnce = 256;

// The head of the chain that a change makes garbage, locked, if there is one.
struct OldChain {
  ExclusivePage head;

  Status Lock(PageNo head_no) {
    if (head_no == kNoPage) return {};
    ASSIGN_OR_RETURN(head, BufferCache::GetExclusive(head_no));
    return {};
  }
  void AddTo(MiniTransaction& change, MapPages& maps) {
    if (!head.held()) return;
    change.AddPage(head, PageRole::kOldChain, HeaderChanges());
    maps.Set(change, head.page_no(), PageState::kPendingChain);
  }
};

ChangedBytes ChangesOf(NodeView node, uint32_t slot, Placement placement) {
  switch (placement) {
    case Placement::kInPlace: {
      const auto from = static_cast<uint16_t>(node.CellOffset(slot));
      return {sizeof(NodeHeader), from, static_cast<uint16_t>(from + node.CellBytes(slot))};
    }
    case Placement::kFree:
      return SlotChanges(node);
    default:
      return NodeChanges(node);
  }
}

using CellHeader = std::array<std::byte, kLeafCellHeaderBytes>;
using ChainReference = std::array<std::byte, kOverflowRefBytes>;

CellHeader HeaderOfCell(const NewCell& cell) {
  const bool chained = cell.head != kNoPage;
  CellHeader header{};
  header[0] = static_cast<std::byte>((cell.expire_at_ms != 0 ? kCellHasExpiry : 0) |
                                     (chained ? kCellOverflow : 0));
  StoreUnaligned(header.data() + 2, static_cast<uint16_t>(cell.key.size()));
  StoreUnaligned(header.data() + 4,
                 static_cast<uint16_t>(chained ? kOverflowRefBytes : cell.value.size()));
  return header;
}

ChainReference ReferenceOf(const NewCell& cell) {
  ChainReference reference;
  StoreUnaligned(reference.data(), cell.head);
  StoreUnaligned(reference.data() + 4, cell.chain_bytes);
  return reference;
}

// The cell as the record's payload, without its value. The arguments live until the commit.
void AddCell(MiniTransaction& change, const CellHeader& header, const NewCell& cell) {
  change.AddPayload(header);
  change.AddPayload(cell.key);
  if (cell.expire_at_ms != 0) change.AddPayload(cell.expire_at_ms);
}

struct OldCell {
  PageNo chain = kNoPage;
  bool has_expiry = false;
};

OldCell LookAtOld(NodeView node, uint32_t slot) {
  const LeafCell cell = node.Leaf(slot);
  return {cell.is_overflow() ? cell.overflow_head() : kNoPage, cell.has_expiry()};
}

}  // namespace

Result<Step> PutKey(ExclusivePage& leaf, uint32_t slot, bool replace, const NewCell& cell,
                    KeyLeftovers* leftovers) {
  const NodeView node(leaf.bytes());
  const Placement placement = PlanCell(node, slot, replace, cell.bytes());
  if (placement == Placement::kNoRoom) return SplitNode(std::move(leaf), slot);
  const OldCell old = replace ? LookAtOld(node, slot) : OldCell{};
  const bool same_chain = old.chain == cell.head;
  OldChain garbage;
  MapPages maps;
  if (!same_chain) {
    RETURN_IF_ERROR(garbage.Lock(old.chain));
    RETURN_IF_ERROR(maps.Lock({old.chain, cell.head}));
  }
  const LeafPutPayload payload{.slot = static_cast<uint16_t>(slot),
                               .replace = replace ? uint16_t{1} : uint16_t{0},
                               .cell_bytes = cell.bytes()};
  const CellHeader header = HeaderOfCell(cell);
  const ChainReference reference = ReferenceOf(cell);
  MiniTransaction change(RecordType::kLeafPut, node.page().database, node.page().incarnation);
  change.AddPage(leaf, PageRole::kLeaf, ChangesOf(node, slot, placement));
  garbage.AddTo(change, maps);
  if (!same_chain && cell.head != kNoPage) maps.Set(change, cell.head, PageState::kUsed);
  change.AddPayload(payload);
  AddCell(change, header, cell);
  if (cell.head != kNoPage) {
    change.AddPayload(reference);
  } else {
    change.AddPayload(cell.value);
  }
  const int expires = (cell.expire_at_ms != 0 ? 1 : 0) - (old.has_expiry ? 1 : 0);
  if (!replace || expires != 0) change.CountKeys(replace ? 0 : 1, expires);
  RETURN_IF_ERROR(change.Commit());
  leftovers->old_chain = same_chain ? kNoPage : old.chain;
  return Step::kDone;
}

bool LeafPuts::Add(FoundLeaf<ExclusivePage> leaf, const NewCell& cell) {
  const NodeView node = leaf.node();
  if (count_ == puts_.size() || cell.head != kNoPage) return false;
  if (count_ != 0) {
    const PageHeader& first = HeaderOf(puts_[0].leaf.bytes());
    if (first.database != node.page().database || first.incarnation != node.page().incarnation) {
      return false;
    }
  }
  const auto [slot, replace] = leaf.at;
  const Placement placement = PlanCell(node, slot, replace, cell.bytes());
  if (placement == Placement::kNoRoom) return false;
  if (replace && node.Leaf(slot).ExpiredAt(now_ms_)) return false;
  const OldCell old = replace ? LookAtOld(node, slot) : OldCell{};
  const ChangedBytes changed = ChangesOf(node, slot, placement);
  const size_t record_bytes = record_bytes_ + sizeof(LeafPutPayload) + cell.bytes();
  const size_t image_bytes =
      image_bytes_ + changed.low_end + static_cast<size_t>(changed.to - changed.from);
  if (old.chain != kNoPage || record_bytes > kMaxRecordBytes || image_bytes > kMaxImageBytes) {
    return false;
  }
  Put& put = puts_[count_++];
  put.leaf = std::move(leaf.page);
  put.cell = cell;
  put.cell_header = HeaderOfCell(cell);
  put.payload = {.slot = static_cast<uint16_t>(slot),
                 .replace = replace ? uint16_t{1} : uint16_t{0},
                 .cell_bytes = cell.bytes()};
  put.changed = changed;
  record_bytes_ = record_bytes;
  image_bytes_ = image_bytes;
  new_keys_ += replace ? 0 : 1;
  new_expires_ += (cell.expire_at_ms != 0 ? 1 : 0) - (old.has_expiry ? 1 : 0);
  return true;
}

Status LeafPuts::Commit() {
  const PageHeader& first = HeaderOf(puts_[0].leaf.bytes());
  MiniTransaction change(RecordType::kLeafPuts, first.database, first.incarnation);
  const LeafPutsPayload payload{};
  change.AddPayload(payload);
  for (Put& put : std::span(puts_).first(count_)) {
    change.AddPage(put.leaf, PageRole::kLeaf, put.changed);
    change.AddPayload(put.payload);
    AddCell(change, put.cell_header, put.cell);
    change.AddPayload(put.cell.value);
  }
  if (new_keys_ != 0 || new_expires_ != 0) change.CountKeys(new_keys_, new_expires_);
  Status status = change.Commit();
  for (size_t i = count_; i-- > 0;) puts_[i].leaf.Release();  // as cheap as it gets: last one first
  return status;
}

NewCell WithExpiry(const LeafCell& old, std::string_view key, int64_t expire_at_ms) {
  NewCell cell;
  cell.key = key;
  cell.expire_at_ms = expire_at_ms;
  if (old.is_overflow()) {
    cell.head = old.overflow_head();
    cell.chain_bytes = old.value_bytes();
  } else {
    cell.value = old.inline_value();
  }
  return cell;
}

void CleanUpAfter(uint32_t database, std::string_view key, const KeyLeftovers& leftovers) {
  if (leftovers.old_chain != kNoPage) (void)FreeChain(leftovers.old_chain, kPagesFreedAtOnce);
  if (leftovers.leaf_emptied) UnlinkEmptyLeaf(database, key);
  FinishSplitMet();
}

void NoteRemoval(uint32_t database, std::string_view key) {
  Segment::KeyRemovals(KeyTag(database, key).hash).fetch_add(1);
}

Result<Step> EraseKey(ExclusivePage& leaf, uint32_t slot, KeyLeftovers* leftovers) {
  const NodeView node(leaf.bytes());
  const OldCell old = LookAtOld(node, slot);
  OldChain garbage;
  MapPages maps;
  RETURN_IF_ERROR(garbage.Lock(old.chain));
  RETURN_IF_ERROR(maps.Lock({old.chain}));
  const LeafErasePayload payload{slot};
  // Before the record: who sees the key gone sees that it was removed.
  const uint32_t database = node.page().database;
  NoteRemoval(database, node.Key(slot));
  MiniTransaction change(RecordType::kLeafErase, database, node.page().incarnation);
  change.AddPage(leaf, PageRole::kLeaf, SlotChanges(node));
  garbage.AddTo(change, maps);
  change.AddPayload(payload);
  change.CountKeys(-1, old.has_expiry ? -1 : 0);
  RETURN_IF_ERROR(change.Commit());
  leftovers->old_chain = old.chain;
  leftovers->leaf_emptied = NodeView(leaf.bytes()).count() == 0;
  return Step::kDone;
}

}  // namespace warren
