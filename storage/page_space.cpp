#include "storage/page_space.h"

#include "base/check.h"
#include "shmem/stats.h"
#include "storage/data_file.h"

namespace warren {
namespace {

// Of this process: the last group that had a free page.
thread_local uint32_t t_group_hint = 0;

uint32_t GroupCount(PageNo page_count) { return MapGroupOf(page_count + kPagesPerMap - 2); }

std::optional<PageNo> FreePageInFile(const MapPage& map, PageNo map_page_no, PageNo from = 0) {
  const auto found = FindFreePage(map, map_page_no, from);
  if (!found.has_value() || *found >= DataFile::Get().page_count()) return std::nullopt;
  return found;
}

// Locks free pages of the group of `near`, whose map page is held. Whoever holds a map page waits
// for no page: a free one may be locked for a moment by somebody who learned its number earlier and
// waits for the map. Returns how many there were that nobody had locked.
Result<size_t> TryFreePages(MapPages& maps, PageNo near, std::span<ExclusivePage> pages) {
  const MapPage& map = maps.MapOf(near);
  const Lsn freed_by = map.page.lsn;  // what freed a page has changed its map page, too
  size_t count = 0;
  for (PageNo from = 0; count < pages.size();) {
    const auto found = FreePageInFile(map, MapPageOf(near), from);
    if (!found.has_value()) break;
    Result<ExclusivePage> page = BufferCache::TryGetNew(*found, freed_by);
    if (!page.ok() && count > 0) break;  // no buffer for one more
    if (!page.ok()) return std::move(page).error();
    if (page->held()) pages[count++] = std::move(*page);
    from = *found + 1;
  }
  return count;
}

}  // namespace

Status MapPages::Lock(std::initializer_list<PageNo> pages) {
  PageNo last = kNoPage;
  for (;;) {  // the lowest map page above the last one, so that they are locked in order and once
    PageNo next = kNoPage;
    for (const PageNo page_no : pages) {
      const PageNo map = page_no != kNoPage ? MapPageOf(page_no) : kNoPage;
      if (map > last && (next == kNoPage || map < next)) next = map;
    }
    if (next == kNoPage) return {};
    CHECK(count_ < kMax, "too many map pages");
    ASSIGN_OR_RETURN(maps_[count_], BufferCache::GetExclusive(next));
    ++count_;
    last = next;
  }
}

ExclusivePage& MapPages::Of(PageNo page_no) {
  const PageNo map_page_no = MapPageOf(page_no);
  for (size_t i = 0; i < count_; ++i) {
    if (maps_[i].page_no() == map_page_no) return maps_[i];
  }
  CHECK(false, "map page {} is not locked", map_page_no);
  __builtin_unreachable();
}

Result<PageNo> FindFreePageAnywhere() {
  const uint32_t groups = GroupCount(DataFile::Get().page_count());
  for (uint32_t i = 0; i < groups; ++i) {
    const uint32_t group = (t_group_hint + i) % groups;
    const PageNo map_page_no = MapPageOfGroup(group);
    ASSIGN_OR_RETURN(const SharedPage map, BufferCache::GetShared(map_page_no));
    const auto found = FreePageInFile(map.As<MapPage>(), map_page_no);
    if (!found.has_value()) continue;
    t_group_hint = group;
    return *found;
  }
  return kNoPage;
}

Result<bool> AllocatePage(std::initializer_list<PageNo> others, MapPages& maps,
                          ExclusivePage& new_page) {
  ASSIGN_OR_RETURN(const size_t count, AllocatePages(others, maps, std::span(&new_page, 1)));
  return count != 0;
}

Result<size_t> AllocatePages(std::initializer_list<PageNo> others, MapPages& maps,
                             std::span<ExclusivePage> new_pages) {
  CHECK(others.size() <= 2);
  for (;;) {
    maps = MapPages();
    ASSIGN_OR_RETURN(const PageNo near, FindFreePageAnywhere());
    if (near == kNoPage) return size_t{0};
    const PageNo first = others.size() > 0 ? others.begin()[0] : kNoPage;
    const PageNo second = others.size() > 1 ? others.begin()[1] : kNoPage;
    RETURN_IF_ERROR(maps.Lock({near, first, second}));
    ASSIGN_OR_RETURN(const size_t count, TryFreePages(maps, near, new_pages));
    if (count == 0) continue;  // somebody was faster
    Stats::Add(StatId::kPagesAllocated, count);
    return count;
  }
}

}  // namespace warren
