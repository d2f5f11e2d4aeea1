// How does each kind of record change its pages? (record.h, record_list.def)
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "storage/node.h"
#include "storage/record.h"

namespace warren {
namespace {

std::string_view TextAt(const std::byte* at, size_t bytes) {
  return {reinterpret_cast<const char*>(at), bytes};
}

CatalogEntry& EntryOf(RecordView record, std::byte* page) {
  return reinterpret_cast<CatalogPage*>(page)->entries[CatalogIndexOf(record.header().database)];
}

// -- Alike for all types.

void InstallNewPage(RecordView record, std::byte* page, Lsn lsn) {
  const RecordHeader& header = record.header();
  const uint32_t high_start = kPageBytes - header.image_high_bytes;
  std::memcpy(page, record.image(), header.image_low_bytes);
  std::memset(page + header.image_low_bytes, 0, high_start - header.image_low_bytes);
  std::memcpy(page + high_start, record.image() + header.image_low_bytes, header.image_high_bytes);
  HeaderOf(page).birth_lsn = lsn;
}

void ChangeMap(RecordView record, PageNo map_page_no, std::byte* page) {
  for (const MapChange& change : record.map_changes()) {
    if (MapPageOf(change.page_no) != map_page_no) continue;
    SetPageState(*reinterpret_cast<MapPage*>(page), change.page_no, change.state);
  }
}

// -- Per type: roles that are not alike for all.

void ApplyNothing(RecordView, PageRole, std::byte*, Lsn) {}

void PutCell(const LeafPutPayload& put, const std::byte* bytes, std::byte* page, Lsn lsn) {
  std::byte* cell =
      PlaceCell(page, put.slot, put.replace != 0, put.cell_bytes, LeafCell(bytes).key());
  std::memcpy(cell, bytes, put.cell_bytes);
  StoreUnaligned(cell + 6, lsn);
}

void ApplyLeafPut(RecordView record, PageRole, std::byte* page, Lsn lsn) {
  PutCell(record.payload<LeafPutPayload>(), record.tail<LeafPutPayload>(), page, lsn);
}

void ApplyLeafPuts(RecordView record, PageRole, std::byte* page, Lsn lsn) {
  ForEachPut(record, [&](const PageRef& ref, const LeafPutPayload& put, const std::byte* cell) {
    const bool here = ref.page_no == HeaderOf(page).page_no;
    if (here) PutCell(put, cell, page, lsn);
    return !here;
  });
}

void ApplyLeafErase(RecordView record, PageRole, std::byte* page, Lsn) {
  EraseCell(page, record.payload<LeafErasePayload>().slot);
}

void ApplySplit(RecordView record, PageRole, std::byte* page, Lsn) {
  const auto split = record.payload<SplitPayload>();
  SetHighKey(page, {});
  TruncateCells(page, split.keep);
  SetHighKey(page, TextAt(record.tail<SplitPayload>(), split.separator_bytes));
  HeaderOf(page).right = split.right;
  HeaderOf(page).flags |= kIncompleteSplitFlag;
}

void ClearFlags(std::byte* page, uint16_t flags) {
  HeaderOf(page).flags = static_cast<uint16_t>(HeaderOf(page).flags & ~flags);
}

void ApplyInnerInsert(RecordView record, PageRole role, std::byte* page, Lsn) {
  if (role == PageRole::kChild) return ClearFlags(page, kIncompleteSplitFlag);
  const auto insert = record.payload<InnerInsertPayload>();
  const std::string_view key = TextAt(record.tail<InnerInsertPayload>(), insert.key_bytes);
  std::byte* cell =
      PlaceCell(page, insert.slot, false, kInnerCellHeaderBytes + insert.key_bytes, key);
  WriteInnerCell(cell, key, insert.child);
}

void ApplyRoot(RecordView record, PageRole role, std::byte* page, Lsn) {
  if (role == PageRole::kOldRoot) return ClearFlags(page, kRootFlag | kIncompleteSplitFlag);
  CatalogEntry& entry = EntryOf(record, page);
  entry.root = record.payload<RootPayload>().root;
  entry.incarnation = record.header().incarnation;
}

void ApplyDropTree(RecordView record, PageRole role, std::byte* page, Lsn lsn) {
  if (role == PageRole::kOldRoot) {
    ClearFlags(page, kRootFlag);
    HeaderOf(page).deleted_lsn = lsn;
    return;
  }
  CatalogEntry& entry = EntryOf(record, page);
  entry = CatalogEntry{.root = kNoPage,
                       .incarnation = record.header().incarnation,
                       .keys = 0,
                       .expires = 0,
                       .reserved = 0};
}

void MarkDeleted(std::byte* page, Lsn lsn) {
  HeaderOf(page).flags |= kDeletedFlag;
  HeaderOf(page).deleted_lsn = lsn;
}

void TakeOver(std::byte* left, std::string_view high, PageNo right) {
  SetHighKey(left, high);
  HeaderOf(left).right = right;
}

void ApplyUnlink(RecordView record, PageRole role, std::byte* page, Lsn lsn) {
  const auto unlink = record.payload<UnlinkPayload>();
  const std::byte* high = record.tail<UnlinkPayload>();
  switch (role) {
    case PageRole::kLeft:
      return TakeOver(page, TextAt(high, unlink.high_bytes), unlink.leaf_right);
    case PageRole::kLeftInner:
      return TakeOver(page, TextAt(high + unlink.high_bytes, unlink.inner_high_bytes),
                      unlink.inner_right);
    case PageRole::kParent:
      return EraseCell(page, unlink.parent_slot);
    default:
      return MarkDeleted(page, lsn);
  }
}

void ApplyFreePages(RecordView record, PageRole, std::byte* page, Lsn) {
  const auto free = record.payload<FreePagesPayload>();
  HeaderOf(page).deleted_lsn = free.deleted_lsn;
  if (IsTreePage(HeaderOf(page))) {
    reinterpret_cast<NodeHeader*>(page)->next_level = free.next_level;
  }
}

void ApplyCatalogCounts(RecordView record, PageRole, std::byte* page, Lsn) {
  const auto counts = record.payload<CatalogCountsPayload>();
  EntryOf(record, page).keys = counts.keys;
  EntryOf(record, page).expires = counts.expires;
}

struct RecordTypeInfo {
  std::string_view name;
  void (*apply)(RecordView, PageRole, std::byte*, Lsn);
};

constexpr std::array kRecordTypes = {
#define WARREN_RECORD(id, name, apply, help) RecordTypeInfo{name, apply},
#include "storage/record_list.def"
#undef WARREN_RECORD
};

const RecordTypeInfo& InfoOf(RecordType type) {
  const auto index = static_cast<size_t>(type);
  CHECK(index < kRecordTypes.size(), "no record type {}", index);
  return kRecordTypes[index];
}

constexpr std::array<std::string_view, 13> kRoleNames = {
    "new",   "map",        "old chain", "leaf",    "left",     "parent", "child",
    "inner", "left inner", "old root",  "catalog", "new head", "filled"};

constexpr std::array<std::string_view, 4> kStateNames = {"free", "used", "pending page",
                                                         "pending chain"};

}  // namespace

std::string_view RecordTypeName(RecordType type) { return InfoOf(type).name; }

std::string_view PageRoleName(PageRole role) {
  const auto index = static_cast<size_t>(role);
  return index < kRoleNames.size() ? kRoleNames[index] : "?";
}

std::string_view PageStateName(PageState state) {
  const auto index = static_cast<size_t>(state);
  return index < kStateNames.size() ? kStateNames[index] : "?";
}

void ApplyRecord(RecordView record, const PageRef& ref, std::byte* page, Lsn lsn) noexcept {
  switch (ref.role) {
    case PageRole::kNewPage:
      InstallNewPage(record, page, lsn);
      break;
    case PageRole::kFilledPage:
      HeaderOf(page).birth_lsn = lsn;
      break;
    case PageRole::kMap:
      ChangeMap(record, ref.page_no, page);
      break;
    case PageRole::kOldChain:
      HeaderOf(page).deleted_lsn = lsn;
      break;
    default:
      InfoOf(record.header().type).apply(record, ref.role, page, lsn);
  }
  HeaderOf(page).lsn = lsn;
}

std::string DescribeRecord(RecordView record, Lsn lsn) {
  const RecordHeader& header = record.header();
  std::string text =
      fmt::format("{:#x} {} {} bytes, database {} incarnation {}", lsn, RecordTypeName(header.type),
                  header.bytes, header.database, header.incarnation);
  for (const PageRef& ref : record.pages()) {
    text += fmt::format(", {} {}", PageRoleName(ref.role), ref.page_no);
  }
  for (const MapChange& change : record.map_changes()) {
    text += fmt::format(", {} becomes {}", change.page_no, PageStateName(change.state));
  }
  if ((header.flags & kCountsFlag) != 0) {
    text += fmt::format(", keys {} expires {}", header.keys_after, header.expires_after);
  }
  return text;
}

}  // namespace warren
