#include "storage/node.h"

#include "base/check.h"

namespace warren {
namespace {

NodeHeader& NodeOf(std::byte* page) { return *reinterpret_cast<NodeHeader*>(page); }

std::byte* SlotAt(std::byte* page, uint32_t slot) {
  return page + sizeof(NodeHeader) + slot * kSlotBytes;
}

void OpenSlot(std::byte* page, uint32_t slot) {
  NodeHeader& node = NodeOf(page);
  std::memmove(SlotAt(page, slot + 1), SlotAt(page, slot), (node.slot_count - slot) * kSlotBytes);
  ++node.slot_count;
  node.page.lower = static_cast<uint16_t>(node.page.lower + kSlotBytes);
}

void CloseSlot(std::byte* page, uint32_t slot) {
  NodeHeader& node = NodeOf(page);
  std::memmove(SlotAt(page, slot), SlotAt(page, slot + 1),
               (node.slot_count - slot - 1) * kSlotBytes);
  --node.slot_count;
  node.page.lower = static_cast<uint16_t>(node.page.lower - kSlotBytes);
}

uint16_t TakeHeap(NodeHeader& node, uint32_t bytes) {
  node.page.upper = static_cast<uint16_t>(node.page.upper - bytes);
  return node.page.upper;
}

// The four bytes of `key` behind the prefix, so that heads compare as keys do unless they are
// equal.
uint32_t HeadOfKey(std::string_view key, uint32_t prefix_bytes) {
  if (key.size() >= prefix_bytes + 4) {
    return __builtin_bswap32(
        LoadUnaligned<uint32_t>(reinterpret_cast<const std::byte*>(key.data()) + prefix_bytes));
  }
  uint32_t head = 0;
  for (uint32_t i = 0; i < 4; ++i) {
    const size_t at = prefix_bytes + i;
    head = head << 8 | (at < key.size() ? static_cast<uint8_t>(key[at]) : 0u);
  }
  return head;
}

uint32_t CommonPrefix(std::string_view a, std::string_view b, uint32_t limit) {
  uint32_t n = 0;
  while (n < limit && n < a.size() && n < b.size() && a[n] == b[n]) ++n;
  return n;
}

void SetSlot(std::byte* page, uint32_t slot, uint16_t offset, uint32_t head) {
  StoreUnaligned(SlotAt(page, slot), offset);
  StoreUnaligned(SlotAt(page, slot) + 2, head);
}

// Makes the heads of all cells for a prefix, but that of `except`, whose bytes are not there yet.
void SetHeads(std::byte* page, uint32_t prefix_bytes, uint32_t except) {
  const NodeView view(page);
  NodeOf(page).prefix_bytes = static_cast<uint16_t>(prefix_bytes);
  for (uint32_t slot = view.FirstKeySlot(); slot < view.count(); ++slot) {
    if (slot == except) continue;
    StoreUnaligned(SlotAt(page, slot) + 2, HeadOfKey(view.Key(slot), prefix_bytes));
  }
}

// The prefix with a new key at `slot`: it can only become shorter, which changes all heads.
void FitPrefix(std::byte* page, uint32_t slot, std::string_view key) {
  const NodeView view(page);
  const uint32_t first = view.FirstKeySlot();
  const uint32_t before = view.header().prefix_bytes;
  if (slot < first) return;
  uint32_t prefix = static_cast<uint32_t>(key.size());
  if (view.count() - first > 1) {
    const uint32_t neighbour = slot + 1 < view.count() ? slot + 1 : slot - 1;
    prefix = CommonPrefix(key, view.Key(neighbour), before);
  }
  if (prefix != before) SetHeads(page, prefix, slot);
}

// Moves cells and high key together at the end of the page.
void Compact(std::byte* page) {
  std::byte heap[kPageBytes];
  const NodeView view(page);
  NodeHeader& node = NodeOf(page);
  uint32_t upper = kPageBytes;
  if (view.has_high_key()) {
    upper -= node.high_bytes;
    std::memcpy(heap + upper, page + node.high_offset, node.high_bytes);
    node.high_offset = static_cast<uint16_t>(upper);
  }
  for (uint32_t slot = 0; slot < node.slot_count; ++slot) {
    const uint32_t bytes = view.CellBytes(slot);
    upper -= bytes;
    std::memcpy(heap + upper, view.CellAt(slot), bytes);
    StoreUnaligned(SlotAt(page, slot), static_cast<uint16_t>(upper));  // the head stays
  }
  std::memcpy(page + upper, heap + upper, kPageBytes - upper);
  node.page.upper = static_cast<uint16_t>(upper);
  node.dead_bytes = 0;
}

}  // namespace

// The first slot from `low` on whose head is not less. Without a branch that the processor would
// guess wrong every other time.
uint32_t NodeView::LowerBoundOfHead(uint32_t low, uint32_t head) const {
  if (low >= count()) return low;
  uint32_t left = count() - low;
  while (left > 1) {
    const uint32_t half = left / 2;
    low += half * static_cast<uint32_t>(Head(low + half - 1) < head);
    left -= half;
  }
  return low + static_cast<uint32_t>(Head(low) < head);
}

// The first slot from `low` on, the first one of that head, whose key is not less.
uint32_t NodeView::LowerBoundWithin(uint32_t low, uint32_t head, std::string_view key) const {
  uint32_t high = count();
  // Mostly no other key has the head.
  if (low >= high || Head(low) != head || CompareKeys(Key(low), key) >= 0) return low;
  for (++low; low < high;) {
    const uint32_t middle = (low + high) / 2;
    if (Head(middle) == head && CompareKeys(Key(middle), key) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

uint32_t NodeView::LowerBound(std::string_view key) const {
  const uint32_t first = FirstKeySlot();
  const uint32_t prefix = header().prefix_bytes;
  const uint32_t head = HeadOfKey(key, prefix);
  const uint32_t low = LowerBoundWithin(LowerBoundOfHead(first, head), head, key);
  if (count() <= first || prefix == 0) return low;
  // Heads mean something only for a key that has the prefix; another one lies before or behind all.
  // Asked last, of the cell that is looked at next anyway.
  const int order =
      CompareKeys(key.substr(0, prefix), Key(low < count() ? low : low - 1).substr(0, prefix));
  return order == 0 ? low : order < 0 ? first : count();
}

KeySlot NodeView::Locate(std::string_view key, uint32_t guess) const {
  if (guess < count() && Key(guess) == key) return {guess, true};
  const uint32_t slot = LowerBound(key);
  return {slot, slot < count() && Key(slot) == key};
}

uint32_t NodeView::ChildSlot(const SearchTarget& target) const {
  if (target.kind == SearchTarget::kEnd) return count() - 1;
  const uint32_t bound = LowerBound(target.key);
  const bool exact =
      target.kind == SearchTarget::kAt && bound < count() && Key(bound) == target.key;
  return exact ? bound : bound - 1;
}

std::optional<uint32_t> NodeView::SlotOfChild(PageNo child) const {
  for (uint32_t slot = 0; slot < count(); ++slot) {
    if (Child(slot) == child) return slot;
  }
  return std::nullopt;
}

Placement PlanCell(NodeView node, uint32_t slot, bool replace, uint32_t bytes) {
  const uint32_t old_bytes = replace ? node.CellBytes(slot) : 0;
  if (replace && bytes <= old_bytes) return Placement::kInPlace;
  const uint32_t wanted = bytes + (replace ? 0 : kSlotBytes);
  if (wanted <= node.FreeBytes()) return Placement::kFree;
  if (wanted <= node.TotalFreeBytes() + old_bytes) return Placement::kCompact;
  return Placement::kNoRoom;
}

void InitNode(std::byte* page, PageNo page_no, uint16_t database, uint32_t incarnation,
              uint16_t level) {
  std::memset(page, 0, sizeof(NodeHeader));
  PageHeader& header = HeaderOf(page);
  header.page_no = page_no;
  header.type = level == 0 ? PageType::kLeaf : PageType::kInner;
  header.incarnation = incarnation;
  header.database = database;
  header.level = level;
  header.lower = sizeof(NodeHeader);
  header.upper = kPageBytes;
}

std::byte* PlaceCell(std::byte* page, uint32_t slot, bool replace, uint32_t bytes,
                     std::string_view key) {
  NodeHeader& node = NodeOf(page);
  const NodeView view(page);
  const Placement placement = PlanCell(view, slot, replace, bytes);
  const uint32_t old_bytes = replace ? view.CellBytes(slot) : 0;
  if (placement == Placement::kInPlace) {
    node.dead_bytes = static_cast<uint16_t>(node.dead_bytes + old_bytes - bytes);
    return page + view.CellOffset(slot);
  }
  CHECK(placement != Placement::kNoRoom, "page {} has no room for a cell of {} bytes",
        node.page.page_no, bytes);
  if (replace) EraseCell(page, slot);
  if (placement == Placement::kCompact) Compact(page);
  OpenSlot(page, slot);
  FitPrefix(page, slot, key);
  const uint16_t offset = TakeHeap(node, bytes);
  SetSlot(page, slot, offset, HeadOfKey(key, node.prefix_bytes));
  return page + offset;
}

void EraseCell(std::byte* page, uint32_t slot) {
  NodeHeader& node = NodeOf(page);
  node.dead_bytes = static_cast<uint16_t>(node.dead_bytes + NodeView(page).CellBytes(slot));
  CloseSlot(page, slot);
}

void TruncateCells(std::byte* page, uint32_t count) {
  NodeHeader& node = NodeOf(page);
  node.slot_count = static_cast<uint16_t>(count);
  node.page.lower = static_cast<uint16_t>(sizeof(NodeHeader) + count * kSlotBytes);
  Compact(page);
  const NodeView view(page);
  const uint32_t first = view.FirstKeySlot();
  if (count <= first) return;
  SetHeads(page, CommonPrefix(view.Key(first), view.Key(count - 1), kPageBytes), count);
}

bool CanSetHighKey(NodeView node, size_t high_bytes) {
  return high_bytes <= node.TotalFreeBytes() + node.header().high_bytes;
}

void SetHighKey(std::byte* page, std::string_view high) {
  NodeHeader& node = NodeOf(page);
  node.dead_bytes = static_cast<uint16_t>(node.dead_bytes + node.high_bytes);
  node.high_bytes = 0;
  node.high_offset = 0;
  if (high.empty()) return;
  if (high.size() > NodeView(page).FreeBytes()) Compact(page);
  CHECK(high.size() <= NodeView(page).FreeBytes(), "page {} has no room for a high key of {} bytes",
        node.page.page_no, high.size());
  node.high_offset = TakeHeap(node, static_cast<uint32_t>(high.size()));
  node.high_bytes = static_cast<uint16_t>(high.size());
  std::memcpy(page + node.high_offset, high.data(), high.size());
}

void WriteInnerCell(std::byte* at, std::string_view key, PageNo child) {
  StoreUnaligned<uint32_t>(at, child);
  StoreUnaligned(at + 4, static_cast<uint16_t>(key.size()));
  if (!key.empty()) std::memcpy(at + kInnerCellHeaderBytes, key.data(), key.size());
}

void AppendInnerCell(std::byte* page, std::string_view key, PageNo child) {
  const auto bytes = static_cast<uint32_t>(kInnerCellHeaderBytes + key.size());
  WriteInnerCell(PlaceCell(page, NodeView(page).count(), false, bytes, key), key, child);
}

std::optional<std::string_view> NodeView::FindFault() const {
  const NodeHeader& node = header();
  if (node.page.lower != sizeof(NodeHeader) + count() * kSlotBytes)
    return "slot count and lower differ";
  if (node.page.upper < node.page.lower || node.page.upper > kPageBytes)
    return "free bounds are wrong";
  uint32_t used = node.high_bytes;
  if (has_high_key() && (node.high_offset < node.page.upper ||
                         uint32_t{node.high_offset} + node.high_bytes > kPageBytes)) {
    return "the high key lies outside the heap";
  }
  const uint32_t cell_header = is_leaf() ? kLeafCellHeaderBytes : kInnerCellHeaderBytes;
  for (uint32_t slot = 0; slot < count(); ++slot) {
    const uint32_t offset = CellOffset(slot);
    if (offset < node.page.upper || offset + cell_header > kPageBytes ||
        offset + CellBytes(slot) > kPageBytes) {
      return "a cell lies outside the heap";
    }
    used += CellBytes(slot);
    if (slot >= FirstKeySlot() &&
        (CommonPrefix(Key(slot), Key(FirstKeySlot()), node.prefix_bytes) != node.prefix_bytes ||
         Head(slot) != HeadOfKey(Key(slot), node.prefix_bytes))) {
      return "a slot's head is not its key's";
    }
    if (slot > 0 && CompareKeys(Key(slot - 1), Key(slot)) >= 0) return "keys are out of order";
    if (has_high_key() && CompareKeys(Key(slot), high_key()) >= 0) {
      return "a key is not below the high key";
    }
  }
  if (used + node.dead_bytes + node.page.upper != kPageBytes)
    return "the heap's bytes do not add up";
  if (!is_leaf() && count() == 0) return "an inner page without children";
  return std::nullopt;
}

}  // namespace warren
