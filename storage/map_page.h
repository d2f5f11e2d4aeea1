// Which pages of the data file are in use?
//
// Two bits per page, in map pages at fixed places: page 1 for the first kPagesPerMap pages, and the
// second page of every further kPagesPerMap pages. The map is also the one persistent list of
// garbage: what is not used and not free is pending, and the page itself says since when and why.
//
//   kFree ---> kUsed ----------------> kPendingPage ----> kFree     a tree page unlinked alone
//     |         ^  |                                        ^
//     |  linked |  | cell replaced or erased, FLUSH         |
//     |         |  v                                        |
//     +---> kPendingChain ----------------------------------+       head of an overflow chain or
//     root
//       built        freed from its head on, page by page: the      of a tree; the pages behind the
//                    next page becomes the head                     head are kUsed
//
// The functions here are pure: they are called by Apply, and by readers under the page's lock.
#pragma once

#include <optional>

#include "storage/page.h"

namespace warren {

enum class PageState : uint32_t { kFree = 0, kUsed = 1, kPendingPage = 2, kPendingChain = 3 };

struct MapPage {
  PageHeader page;
  uint32_t free_hint;                                         // no page below this index is free
  uint32_t pending_count;                                     // of kPendingPage and kPendingChain
  uint64_t words[(kPageBytes - sizeof(PageHeader) - 8) / 8];  // 32 pages each, lowest bits first
};
static_assert(sizeof(MapPage) == kPageBytes);

inline constexpr uint32_t kPagesPerMapWord = 32;
inline constexpr uint32_t kPagesPerMap = sizeof(MapPage::words) / 8 * kPagesPerMapWord;

inline constexpr uint32_t MapGroupOf(PageNo page_no) { return page_no / kPagesPerMap; }
inline constexpr uint32_t MapIndexOf(PageNo page_no) { return page_no % kPagesPerMap; }
inline constexpr PageNo MapPageOfGroup(uint32_t group) { return group * kPagesPerMap + 1; }
inline constexpr PageNo MapPageOf(PageNo page_no) { return MapPageOfGroup(MapGroupOf(page_no)); }

// Header, catalog and map pages: always in use.
inline constexpr bool IsFixedPage(PageNo page_no) {
  return page_no < kFirstFreePage || MapIndexOf(page_no) == 1;
}

// Makes a never written page (all zero) a map page in which only fixed pages are used.
void InitMapPage(MapPage& map, PageNo map_page_no);

// A never written map page reads as InitMapPage would make it.
PageState GetPageState(const MapPage& map, PageNo page_no);
void SetPageState(MapPage& map, PageNo page_no, PageState state);

// The first free page with a number of at least `from` in the group whose map page is
// `map_page_no`.
std::optional<PageNo> FindFreePage(const MapPage& map, PageNo map_page_no, PageNo from = 0);

// The same of pending pages.
std::optional<PageNo> FindPendingPage(const MapPage& map, PageNo map_page_no, PageNo from);

// How many pages of the group before `end` are not free, and how many of these are garbage.
struct PageUse {
  uint64_t used = 0;
  uint64_t garbage = 0;
};
PageUse CountUse(const MapPage& map, PageNo map_page_no, PageNo end);

// Where the use of the group ends: behind its last page before `end` that is not free; its first
// page if all are. The map page counts only for the others, but as long as one of them is in use.
PageNo EndOfUse(const MapPage& map, PageNo map_page_no, PageNo end);

}  // namespace warren
