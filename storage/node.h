// How are cells kept in a page of the B+tree?
//
// A node (leaf or inner page) is a slotted page: header, slot array growing up, heap of cells
// growing down. A slot is the cell's offset and the head of its key; slots are in key order.
//
//   0            72        lower             upper                          8192
//   | NodeHeader | slots ...| not in use      | cells and high key, any order |
//
//   leaf cell    flags u8, 0 u8, key_bytes u16, value_bytes u16, version u64, key,
//                [expiry i64], value | {head page u32, total bytes u64}
//   inner cell   child u32, key_bytes u16, key
//
// All keys of a node begin with the same `prefix_bytes` bytes; a key's head is the four bytes
// behind them, as a big-endian number, short keys filled up with zeros. A search compares heads,
// which lie side by side, and looks at a cell only where heads are equal: cells are a cache miss
// each. The prefix is as long as it was when heads were last made (it may be longer by now), and
// the first cell of an inner page has no part in it.
//
// A node's range is [low, high): the high key is stored in the node (none: it is the last of its
// level), the low one is the key of its entry in the parent. The key of an inner page's first cell
// is the page's own low key; the search ignores it.
//
// NodeView reads, under at least a shared lock. The functions below it change a node: they are
// called by apply functions and by builders of new pages in private memory, nobody else. They are
// pure.
#pragma once

#include <cstring>
#include <optional>
#include <string_view>

#include "storage/page.h"

namespace warren {

struct NodeHeader {
  PageHeader page;
  uint16_t slot_count;
  uint16_t dead_bytes;  // of the heap, left by cells that are gone: back after compaction
  uint16_t high_offset;
  uint16_t high_bytes;    // 0: no high key
  uint32_t next_level;    // root of a garbage tree: first page of the level below, once known
  uint16_t prefix_bytes;  // that all keys share, and heads leave out
  uint16_t reserved;
};
static_assert(sizeof(NodeHeader) == 72);

enum LeafCellFlags : uint8_t { kCellHasExpiry = 1, kCellOverflow = 2 };

inline constexpr uint32_t kLeafCellHeaderBytes = 14;
inline constexpr uint32_t kInnerCellHeaderBytes = 6;
inline constexpr uint32_t kOverflowRefBytes = 12;
inline constexpr uint32_t kSlotBytes = 6;  // offset u16, head u32
inline constexpr uint32_t kNodeKeyBytesLimit = 2000;
// Three of the largest cells and the largest high key fit into a node, so that a full node can
// always be split into two that hold both halves.
inline constexpr uint32_t kMaxCellBytes =
    kLeafCellHeaderBytes + kNodeKeyBytesLimit + 8 + kOverflowRefBytes;
static_assert(sizeof(NodeHeader) + kNodeKeyBytesLimit + 3 * (kMaxCellBytes + kSlotBytes) <=
              kPageBytes);

template <typename T>
inline T LoadUnaligned(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <typename T>
inline void StoreUnaligned(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

// Bytewise order; a prefix comes first. Eight bytes at a time, without a call: most of a search's
// time is spent here.
inline int CompareKeys(std::string_view a, std::string_view b) {
  const size_t n = a.size() < b.size() ? a.size() : b.size();
  const auto* at = reinterpret_cast<const std::byte*>(a.data());
  const auto* bt = reinterpret_cast<const std::byte*>(b.data());
  size_t i = 0;
  while (i + 8 <= n) {
    const auto x = LoadUnaligned<uint64_t>(at + i);
    const auto y = LoadUnaligned<uint64_t>(bt + i);
    if (x != y) return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
    i += 8;
  }
  for (; i < n; ++i) {
    if (at[i] != bt[i]) return at[i] < bt[i] ? -1 : 1;
  }
  return a.size() == b.size() ? 0 : (a.size() < b.size() ? -1 : 1);
}

// A leaf cell, read in place.
class LeafCell {
 public:
  explicit LeafCell(const std::byte* at) : at_(at) {}
  uint8_t flags() const { return static_cast<uint8_t>(at_[0]); }
  bool has_expiry() const { return (flags() & kCellHasExpiry) != 0; }
  bool is_overflow() const { return (flags() & kCellOverflow) != 0; }
  uint32_t key_bytes() const { return LoadUnaligned<uint16_t>(at_ + 2); }
  uint32_t stored_value_bytes() const { return LoadUnaligned<uint16_t>(at_ + 4); }
  uint64_t version() const { return LoadUnaligned<uint64_t>(at_ + 6); }
  std::string_view key() const { return {text() + kLeafCellHeaderBytes, key_bytes()}; }
  int64_t expire_at_ms() const {
    return has_expiry() ? LoadUnaligned<int64_t>(at_ + kLeafCellHeaderBytes + key_bytes()) : 0;
  }
  std::string_view inline_value() const { return {text() + value_offset(), stored_value_bytes()}; }
  PageNo overflow_head() const { return LoadUnaligned<uint32_t>(at_ + value_offset()); }
  uint64_t value_bytes() const {
    return is_overflow() ? LoadUnaligned<uint64_t>(at_ + value_offset() + 4) : stored_value_bytes();
  }
  uint32_t bytes() const { return value_offset() + stored_value_bytes(); }
  bool ExpiredAt(int64_t now_ms) const { return has_expiry() && expire_at_ms() <= now_ms; }

 private:
  const char* text() const { return reinterpret_cast<const char*>(at_); }
  uint32_t value_offset() const {
    return kLeafCellHeaderBytes + key_bytes() + (has_expiry() ? 8u : 0u);
  }
  const std::byte* at_;
};

// Where a search goes at a node: to the key itself, to the last key before it, or to the last key.
struct SearchTarget {
  enum Kind : uint8_t { kAt, kBefore, kEnd } kind = kAt;
  std::string_view key;
};

// Where a key is in a node, or would go.
struct KeySlot {
  uint32_t slot = 0;
  bool stored = false;
};

class NodeView {
 public:
  explicit NodeView(const std::byte* page) : page_(page) {}

  const NodeHeader& header() const { return *reinterpret_cast<const NodeHeader*>(page_); }
  const PageHeader& page() const { return header().page; }
  bool is_leaf() const { return page().type == PageType::kLeaf; }
  uint32_t count() const { return header().slot_count; }
  // Where in the page a slot is; it begins with the offset of its cell, u16.
  static constexpr size_t SlotOffset(uint32_t slot) {
    return sizeof(NodeHeader) + size_t{slot} * kSlotBytes;
  }
  uint32_t CellOffset(uint32_t slot) const {
    return LoadUnaligned<uint16_t>(page_ + SlotOffset(slot));
  }
  uint32_t Head(uint32_t slot) const {
    return LoadUnaligned<uint32_t>(page_ + SlotOffset(slot) + 2);
  }
  const std::byte* CellAt(uint32_t slot) const { return page_ + CellOffset(slot); }
  LeafCell Leaf(uint32_t slot) const { return LeafCell(CellAt(slot)); }
  PageNo Child(uint32_t slot) const { return LoadUnaligned<uint32_t>(CellAt(slot)); }
  std::string_view Key(uint32_t slot) const {
    const std::byte* cell = CellAt(slot);
    const bool leaf = is_leaf();
    return {
        reinterpret_cast<const char*>(cell) + (leaf ? kLeafCellHeaderBytes : kInnerCellHeaderBytes),
        LoadUnaligned<uint16_t>(cell + (leaf ? 2 : 4))};
  }
  uint32_t CellBytes(uint32_t slot) const {
    return is_leaf() ? Leaf(slot).bytes()
                     : kInnerCellHeaderBytes + LoadUnaligned<uint16_t>(CellAt(slot) + 4);
  }
  bool has_high_key() const { return header().high_bytes != 0; }
  std::string_view high_key() const {
    return {reinterpret_cast<const char*>(page_) + header().high_offset, header().high_bytes};
  }

  // Bytes between slots and heap, and those plus what compaction would bring.
  uint32_t FreeBytes() const { return uint32_t{page().upper} - page().lower; }
  uint32_t TotalFreeBytes() const { return FreeBytes() + header().dead_bytes; }

  // The first slot whose key counts in a search: an inner page's first cell stands for everything
  // below its second.
  uint32_t FirstKeySlot() const { return is_leaf() ? 0 : 1; }
  // The first slot from FirstKeySlot() whose key is not less than `key` (count() if none).
  uint32_t LowerBound(std::string_view key) const;
  // The same, and whether that slot's key is `key`. No search if it is in slot `guess` of a leaf;
  // that may be any number.
  KeySlot Locate(std::string_view key, uint32_t guess = ~uint32_t{0}) const;
  // Inner page: the slot of the child that `target` leads to.
  uint32_t ChildSlot(const SearchTarget& target) const;
  std::optional<uint32_t> SlotOfChild(PageNo child) const;
  // Does `target` lie to the right of this node's range?
  bool MustMoveRight(const SearchTarget& target) const {
    if (!has_high_key()) return false;
    if (target.kind == SearchTarget::kEnd) return true;
    const int order = CompareKeys(target.key, high_key());
    return target.kind == SearchTarget::kAt ? order >= 0 : order > 0;
  }

  // Nothing, or what is wrong with offsets, sizes, order and range; reads only inside the page.
  std::optional<std::string_view> FindFault() const;

 private:
  uint32_t LowerBoundOfHead(uint32_t low, uint32_t head) const;
  uint32_t LowerBoundWithin(uint32_t low, uint32_t head, std::string_view key) const;

  const std::byte* page_;
};

// Where a cell of `bytes` would go. Depends on the node alone, so that redo decides the same.
enum class Placement : uint8_t {
  kInPlace,  // over the cell it replaces
  kFree,     // into free bytes
  kCompact,  // into free bytes after compaction
  kNoRoom,
};
Placement PlanCell(NodeView node, uint32_t slot, bool replace, uint32_t bytes);

// -- Changing a node.

void InitNode(std::byte* page, PageNo page_no, uint16_t database, uint32_t incarnation,
              uint16_t level);
// Bytes for the cell of `key` at `slot`, new or instead of the one that is there; the caller fills
// them. There is room.
std::byte* PlaceCell(std::byte* page, uint32_t slot, bool replace, uint32_t bytes,
                     std::string_view key);
void EraseCell(std::byte* page, uint32_t slot);
// Keeps the first `count` cells; compacts.
void TruncateCells(std::byte* page, uint32_t count);
// Replaces the high key (empty: none). CanSetHighKey says beforehand whether there is room.
bool CanSetHighKey(NodeView node, size_t high_bytes);
void SetHighKey(std::byte* page, std::string_view high);
void AppendInnerCell(std::byte* page, std::string_view key, PageNo child);
void WriteInnerCell(std::byte* at, std::string_view key, PageNo child);

}  // namespace warren
