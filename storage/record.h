// What does the description of one atomic page change look like?
//
//   RecordHeader | PageRef[page_count] | MapChange[map_change_count] |
//   image of the new page (image_low_bytes + image_high_bytes) | payload of the type
//
// Everything is in the record: the content of a page that it initialises, the bytes of a cell, the
// number of keys after it. The only thing apply gets besides is the record's LSN (its end).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "storage/map_page.h"
#include "storage/page.h"

namespace warren {

enum class RecordType : uint16_t {
#define WARREN_RECORD(id, name, apply, help) id,
#include "storage/record_list.def"
#undef WARREN_RECORD
};

std::string_view RecordTypeName(RecordType type);

// What a page is to a record.
enum class PageRole : uint16_t {
  kNewPage,   // initialised from the record's image; its old bytes do not matter
  kMap,       // takes the map changes that belong to it
  kOldChain,  // head of a chain or tree that this record makes garbage: gets the LSN
  kLeaf,
  kLeft,
  kParent,
  kChild,  // left half of a split whose parent entry is made
  kInner,
  kLeftInner,
  kOldRoot,
  kCatalog,
  kNewHead,     // page of a chain that becomes its head because the pages before it are freed
  kFilledPage,  // a new page whose bytes come as its image in the tail (mini_transaction.h)
};
std::string_view PageRoleName(PageRole role);  // for a role that is none of these, "?"
std::string_view PageStateName(PageState state);

enum RecordFlags : uint8_t { kCountsFlag = 1 };

struct RecordHeader {
  uint32_t bytes;  // all of it, a multiple of 8
  RecordType type;
  uint8_t page_count;
  uint8_t flags;  // RecordFlags
  uint16_t database;
  uint16_t map_change_count;
  uint16_t image_low_bytes;  // [0, low) and [kPageBytes - high, kPageBytes) of the new page
  uint16_t image_high_bytes;
  uint32_t incarnation;  // of the tree
  uint32_t payload_bytes;
  uint64_t keys_after;  // with kCountsFlag: of the database, after this record
  uint64_t expires_after;
};
static_assert(sizeof(RecordHeader) == 40);

struct PageRef {
  PageNo page_no;
  PageRole role;
  uint16_t reserved;
};
static_assert(sizeof(PageRef) == 8);

struct MapChange {
  PageNo page_no;
  PageState state;
};
static_assert(sizeof(MapChange) == 8);

// Most pages in a record: both leaves, both inner pages and the grandparent of kUnlinkBranch, two
// map pages; and one to spare.
inline constexpr size_t kMaxRecordPages = 8;
inline constexpr size_t kMaxMapChanges = 64;
// The largest record is a split: the image of a full page and a separator.
inline constexpr size_t kMaxRecordBytes = 12 * 1024;
static_assert(sizeof(RecordHeader) + kMaxRecordPages * sizeof(PageRef) +
                  kMaxMapChanges * sizeof(MapChange) + kPageBytes + 2048 + 64 <=
              kMaxRecordBytes);

// -- Payloads. What varies in length follows the struct.
struct LeafPutPayload {  // then the cell; its version is set to the record's LSN
  uint16_t slot;
  uint16_t replace;
  uint32_t cell_bytes;
};
struct LeafPutsPayload {  // then for each page in turn a LeafPutPayload and its cell
  uint64_t reserved;
};
struct LeafErasePayload {
  uint32_t slot;
};
struct SplitPayload {  // then the separator: the left page's high key
  PageNo right;
  uint16_t keep;  // cells that stay in the left page
  uint16_t separator_bytes;
};
struct InnerInsertPayload {  // then the key
  PageNo child;
  uint16_t slot;
  uint16_t key_bytes;
};
struct RootPayload {
  PageNo root;
};
struct UnlinkPayload {  // then the high key that goes to the left neighbour(s)
  PageNo leaf_right;
  PageNo inner_right;  // kUnlinkBranch
  uint16_t parent_slot;
  uint16_t high_bytes;        // 0: none
  uint16_t inner_high_bytes;  // kUnlinkBranch: of the key after the leaf's
  uint16_t reserved;
};
struct FreePagesPayload {
  Lsn deleted_lsn;    // of the chain: the new head's, too
  PageNo next_level;  // of a garbage tree: see NodeHeader
  uint32_t reserved;
};
struct CutFilePayload {
  PageNo page_count;  // of the file from then on
  uint32_t reserved;
};
struct CatalogCountsPayload {
  uint64_t keys;
  uint64_t expires;
};

// A record in memory.
class RecordView {
 public:
  explicit RecordView(const std::byte* bytes) : bytes_(bytes) {}

  const RecordHeader& header() const { return *reinterpret_cast<const RecordHeader*>(bytes_); }
  std::span<const PageRef> pages() const {
    return {reinterpret_cast<const PageRef*>(bytes_ + sizeof(RecordHeader)), header().page_count};
  }
  std::span<const MapChange> map_changes() const {
    return {reinterpret_cast<const MapChange*>(bytes_ + sizeof(RecordHeader) +
                                               header().page_count * sizeof(PageRef)),
            header().map_change_count};
  }
  const std::byte* image() const {
    return reinterpret_cast<const std::byte*>(map_changes().data() + map_changes().size());
  }
  template <typename T>
  T payload() const {
    T value;
    __builtin_memcpy(&value, payload_bytes(), sizeof value);
    return value;
  }
  // What follows the payload struct T.
  template <typename T>
  const std::byte* tail() const {
    return payload_bytes() + sizeof(T);
  }

 private:
  const std::byte* payload_bytes() const {
    return image() + header().image_low_bytes + header().image_high_bytes;
  }
  const std::byte* bytes_;
};

// Of a kLeafPuts: calls `visit(page, put, cell)` for each until it returns false.
template <typename Visit>
void ForEachPut(RecordView record, Visit visit) {
  const std::byte* at = record.tail<LeafPutsPayload>();
  for (const PageRef& ref : record.pages()) {
    LeafPutPayload put;
    __builtin_memcpy(&put, at, sizeof put);
    if (!visit(ref, put, at + sizeof put)) return;
    at += sizeof put + put.cell_bytes;
  }
}

// Makes the record's change on one of its pages. Pure: depends on nothing but its arguments. `page`
// is as it was before the record (kNewPage: anything); afterwards its LSN is `lsn`.
void ApplyRecord(RecordView record, const PageRef& ref, std::byte* page, Lsn lsn) noexcept;

// One line for people.
std::string DescribeRecord(RecordView record, Lsn lsn);

}  // namespace warren
