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

// Locks a free page of the group of `near`, whose map page is held. Whoever holds a map page waits
// for no page: a free one may be locked for a moment by somebody who learned its number earlier and
// waits for the map. Not held if each is locked.
Result<ExclusivePage> TryFreePages(MapPages& maps, PageNo near) {
  PageNo from = 0;
  for (;;) {
    const auto found = FreePageInFile(maps.MapOf(near), MapPageOf(near), from);
    if (!found.has_value()) return ExclusivePage();
    ASSIGN_OR_RETURN(ExclusivePage page, BufferCache::TryGetNew(*found));
    if (page.held()) return page;
    from = *found + 1;
  }
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
  CHECK(others.size() <= 2);
  for (;;) {
    maps = MapPages();
    ASSIGN_OR_RETURN(const PageNo near, FindFreePageAnywhere());
    if (near == kNoPage) return false;
    const PageNo first = others.size() > 0 ? others.begin()[0] : kNoPage;
    const PageNo second = others.size() > 1 ? others.begin()[1] : kNoPage;
    RETURN_IF_ERROR(maps.Lock({near, first, second}));
    ASSIGN_OR_RETURN(new_page, TryFreePages(maps, near));
    if (!new_page.held()) continue;  // somebody was faster
    Stats::Add(StatId::kPagesAllocated);
    return true;
  }
}

}  // namespace warren
