#include "storage/map_page.h"

#include <algorithm>
#include <iterator>

namespace warren {
namespace {

constexpr uint64_t kLowBits = 0x5555'5555'5555'5555u;

uint32_t ShiftOf(uint32_t index) { return index % kPagesPerMapWord * 2; }

// The low bit of each pair that is kFree, or that is pending (its high bit is set).
uint64_t FreePairs(uint64_t word) { return ~(word | word >> 1) & kLowBits; }
uint64_t PendingPairs(uint64_t word) { return word >> 1 & kLowBits; }

template <uint64_t (*Select)(uint64_t)>
std::optional<uint32_t> FindPair(const MapPage& map, uint32_t from) {
  for (uint32_t w = from / kPagesPerMapWord; w < std::size(map.words); ++w) {
    uint64_t pairs = Select(map.words[w]);
    if (w == from / kPagesPerMapWord) pairs &= ~uint64_t{0} << ShiftOf(from);
    if (pairs != 0) {
      return w * kPagesPerMapWord + static_cast<uint32_t>(std::countr_zero(pairs)) / 2;
    }
  }
  return std::nullopt;
}

// Where a search from page `from` on begins in the group that begins with page `first`.
uint32_t IndexFrom(PageNo first, PageNo from) { return from > first ? from - first : 0; }

bool NeverWritten(const MapPage& map) { return map.page.type == PageType::kNone; }

}  // namespace

void InitMapPage(MapPage& map, PageNo map_page_no) {
  map.page.page_no = map_page_no;
  map.page.type = PageType::kMap;
  map.page.lower = map.page.upper = kPageBytes;
  const PageNo first = map_page_no - 1;
  const uint32_t fixed = first == 0 ? kFirstFreePage : 2;
  // The first page of a later group is an ordinary one; only its map page is fixed.
  for (uint32_t i = first == 0 ? 0 : 1; i < fixed; ++i) {
    map.words[0] |= static_cast<uint64_t>(PageState::kUsed) << ShiftOf(i);
  }
  map.free_hint = first == 0 ? fixed : 0;
}

PageState GetPageState(const MapPage& map, PageNo page_no) {
  if (NeverWritten(map)) return IsFixedPage(page_no) ? PageState::kUsed : PageState::kFree;
  const uint32_t index = MapIndexOf(page_no);
  return static_cast<PageState>(map.words[index / kPagesPerMapWord] >> ShiftOf(index) & 3);
}

void SetPageState(MapPage& map, PageNo page_no, PageState state) {
  if (NeverWritten(map)) InitMapPage(map, MapPageOf(page_no));
  const uint32_t index = MapIndexOf(page_no);
  uint64_t& word = map.words[index / kPagesPerMapWord];
  if ((word >> ShiftOf(index) & 2) != 0) --map.pending_count;
  word &= ~(uint64_t{3} << ShiftOf(index));
  word |= static_cast<uint64_t>(state) << ShiftOf(index);
  if (state == PageState::kPendingPage || state == PageState::kPendingChain) ++map.pending_count;
  if (state == PageState::kFree && index < map.free_hint) map.free_hint = index;
  if (state != PageState::kFree && index == map.free_hint) ++map.free_hint;
}

std::optional<PageNo> FindFreePage(const MapPage& map, PageNo map_page_no, PageNo from) {
  const PageNo first = map_page_no - 1;
  if (NeverWritten(map)) {
    PageNo page_no = std::max(from, first);
    while (IsFixedPage(page_no)) ++page_no;
    return page_no;
  }
  const uint32_t start = std::max(IndexFrom(first, from), map.free_hint);
  if (start >= kPagesPerMap) return std::nullopt;
  const auto index = FindPair<FreePairs>(map, start);
  if (!index.has_value()) return std::nullopt;
  return first + *index;
}

std::optional<PageNo> FindPendingPage(const MapPage& map, PageNo map_page_no, PageNo from) {
  if (NeverWritten(map) || map.pending_count == 0) return std::nullopt;
  const PageNo first = map_page_no - 1;
  const uint32_t start = IndexFrom(first, from);
  if (start >= kPagesPerMap) return std::nullopt;
  const auto index = FindPair<PendingPairs>(map, start);
  if (!index.has_value()) return std::nullopt;
  return first + *index;
}

PageUse CountUse(const MapPage& map, PageNo map_page_no, PageNo end) {
  const PageNo first = map_page_no - 1;
  PageUse use;
  for (PageNo page_no = first; page_no < end && page_no - first < kPagesPerMap; ++page_no) {
    const PageState state = GetPageState(map, page_no);
    use.used += state != PageState::kFree ? 1 : 0;
    use.garbage += state == PageState::kPendingPage || state == PageState::kPendingChain ? 1 : 0;
  }
  return use;
}

PageNo EndOfUse(const MapPage& map, PageNo map_page_no, PageNo end) {
  const PageNo first = map_page_no - 1;
  for (PageNo page_no = std::min(end, first + kPagesPerMap); page_no-- > first;) {
    if (page_no == map_page_no || GetPageState(map, page_no) == PageState::kFree) continue;
    return std::max(page_no + 1, map_page_no + 1);
  }
  return first;
}

}  // namespace warren
