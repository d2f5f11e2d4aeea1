// Where does a new page come from, and where do garbage pages go?
//
// A page is allocated inside the record that needs it: its map page is locked last, the bit is
// found and the page taken under that lock. When no page is free, the caller lets everything go,
// ends its operation, calls MakeRoom and starts again; so garbage is collected and the file
// extended (or NOSPACE answered) with no page locked and nothing changed.
//
// Locking: map pages come last in page lock order, in ascending order. Whoever holds one waits for
// no other page; the new page's lock is tried, and another page taken if somebody has it.
#pragma once

#include <array>
#include <initializer_list>
#include <span>

#include "shmem/buffer_cache.h"
#include "storage/map_page.h"
#include "storage/mini_transaction.h"

namespace warren {

// The map pages that one record changes, locked exclusively.
class MapPages {
 public:
  static constexpr size_t kMax = 3;

  // Locks those that `pages` belong to. (At most kMax map pages.)
  Status Lock(std::initializer_list<PageNo> pages);
  ExclusivePage& Of(PageNo page_no);
  const MapPage& MapOf(PageNo page_no) { return Of(page_no).As<MapPage>(); }
  // The change becomes part of `change`.
  void Set(MiniTransaction& change, PageNo page_no, PageState state) {
    change.ChangeMap(Of(page_no), page_no, state);
  }

 private:
  std::array<ExclusivePage, kMax> maps_;
  size_t count_ = 0;
};

// A free page of the file, locked, with its map page and those of `others`; not yet marked as used:
// the caller's record does that. Nothing when no page is free: see MakeRoom.
Result<bool> AllocatePage(std::initializer_list<PageNo> others, MapPages& maps,
                          ExclusivePage& new_page);

// The same for several at once: as many as `new_pages` has room for and one group of the file has
// free, in ascending order. Returns how many; 0: none is free.
Result<size_t> AllocatePages(std::initializer_list<PageNo> others, MapPages& maps,
                             std::span<ExclusivePage> new_pages);

// The first page of the file that is free, or kNoPage. Looks at map pages under shared locks.
Result<PageNo> FindFreePageAnywhere();

}  // namespace warren
