// What do the first bytes of every page mean?
//
// All numbers are little endian. README.md has the same layouts as byte tables. A page of all zero
// bytes was allocated but never written; it has no type.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/ids.h"

namespace warren {

static_assert(std::endian::native == std::endian::little);

enum class PageType : uint16_t {
  kNone = 0,  // never written
  kFileHeader = 1,
  kCatalog = 2,
  kMap = 3,
  kLeaf = 4,
  kInner = 5,
  kOverflow = 6,
};

enum PageFlags : uint16_t {
  kRootFlag = 1u << 0,             // the root of its database's tree, now
  kIncompleteSplitFlag = 1u << 1,  // the right neighbour has no entry in the parent yet
  kDeletedFlag = 1u << 2,          // unlinked from its tree; `right` and the high key still stand
};

struct PageHeader {
  uint64_t lsn;  // end of the record that changed the page last
  uint64_t
      checksum;  // of the page with this field zero, seeded with its number; set on writing out
  uint32_t page_no;
  PageType type;
  uint16_t flags;        // PageFlags
  uint32_t incarnation;  // of its tree: raised by each FLUSH of the database
  uint16_t database;
  uint16_t level;  // tree pages: 0 is a leaf
  uint32_t right;  // tree: right neighbour; overflow: next page of the chain; kNoPage: the last
  uint16_t lower;  // bytes [lower, upper) are not in use and may hold anything
  uint16_t upper;
  uint64_t birth_lsn;    // LSN of the record that initialised the page for its present use
  uint64_t deleted_lsn;  // end of the record that made it garbage; 0: it is none
};
static_assert(sizeof(PageHeader) == 56 && offsetof(PageHeader, page_no) == 16 &&
              offsetof(PageHeader, right) == 32 && offsetof(PageHeader, deleted_lsn) == 48);

inline const PageHeader& HeaderOf(const std::byte* page) {
  return *reinterpret_cast<const PageHeader*>(page);
}
inline PageHeader& HeaderOf(std::byte* page) { return *reinterpret_cast<PageHeader*>(page); }

inline bool IsTreePage(const PageHeader& header) {
  return header.type == PageType::kLeaf || header.type == PageType::kInner;
}

// -- Pages at fixed places.

// Page 0. Written once.
struct FileHeader {
  PageHeader page;
  char magic[8];            // kDataFileMagic
  uint32_t format_version;  // kFormatVersion
  uint32_t page_bytes;
  uint64_t system_id;  // random; the same as in the control file
};
static_assert(sizeof(FileHeader) == 80);
inline constexpr char kDataFileMagic[9] = "WARRENDF";
inline constexpr uint32_t kFormatVersion = 3;

// One database in the catalog.
struct CatalogEntry {
  uint32_t root;  // kNoPage: no key was ever put since the last FLUSH
  uint32_t incarnation;
  uint64_t keys;  // as of the last clean shutdown
  uint64_t expires;
  uint64_t reserved;
};
static_assert(sizeof(CatalogEntry) == 32);

inline constexpr uint32_t kCatalogEntriesPerPage = 254;
struct CatalogPage {
  PageHeader page;
  uint64_t reserved;
  CatalogEntry entries[kCatalogEntriesPerPage];
};
static_assert(sizeof(CatalogPage) == kPageBytes);

inline constexpr PageNo kFirstCatalogPage = 2;
inline constexpr uint32_t kCatalogPages =
    (kMaxDatabases + kCatalogEntriesPerPage - 1) / kCatalogEntriesPerPage;
inline constexpr PageNo kFirstFreePage = kFirstCatalogPage + kCatalogPages;

inline constexpr PageNo CatalogPageOf(uint32_t database) {
  return kFirstCatalogPage + database / kCatalogEntriesPerPage;
}
inline constexpr uint32_t CatalogIndexOf(uint32_t database) {
  return database % kCatalogEntriesPerPage;
}

// -- Overflow pages: one value too large for its leaf, as a chain.
struct OverflowHeader {
  PageHeader page;
  uint64_t maker_start_count;  // who built the chain; read only while its head is garbage
  uint32_t maker_slot;
  uint32_t maker_generation;
  uint32_t value_bytes;  // in this page
  uint32_t reserved;
};
static_assert(sizeof(OverflowHeader) == 80);
inline constexpr uint32_t kOverflowBytesPerPage = kPageBytes - sizeof(OverflowHeader);

}  // namespace warren
