#include "storage/store_check.h"

#include "shmem/segment.h"
#include "storage/data_file.h"
#include "storage/database_counts.h"
#include "storage/map_page.h"
#include "storage/operation.h"
#include "storage/overflow.h"
#include "storage/store.h"
#include "storage/tree.h"

namespace warren {
namespace {

template <typename... Args>
Error Fault(PageNo page_no, fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(ErrorCode::kCorrupt, "{}: {}", DescribePage(page_no),
                   fmt::format(format, std::forward<Args>(args)...));
}

Result<PageState> StateOf(PageNo page_no) {
  ASSIGN_OR_RETURN(const SharedPage map, BufferCache::GetShared(MapPageOf(page_no)));
  return GetPageState(map.As<MapPage>(), page_no);
}

}  // namespace

Status StoreChecker::Run() {
  const Operation operation;
  RETURN_IF_ERROR(DataFile::Get().RefreshPageCount());
  uses_.assign(DataFile::Get().page_count(), Use::kNone);
  totals_ = StoreTotals{};
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    RETURN_IF_ERROR(CheckDatabase(database));
  }
  RETURN_IF_ERROR(CheckGarbage());
  return CheckMap();
}

Status StoreChecker::Mark(PageNo page_no, Use use) {
  if (page_no >= uses_.size()) return Fault(page_no, "it lies beyond the end of the file");
  if (IsFixedPage(page_no))
    return Fault(page_no, "a link leads to it, although its place is fixed");
  if (uses_[page_no] != Use::kNone) return Fault(page_no, "two links lead to it");
  uses_[page_no] = use;
  return {};
}

// -- Trees.

Status StoreChecker::CheckDatabase(uint32_t database) {
  ASSIGN_OR_RETURN(const CatalogEntry entry, ReadCatalogEntry(database));
  keys_ = expires_ = 0;
  if (entry.root != kNoPage) {
    ASSIGN_OR_RETURN(SharedPage root, BufferCache::GetShared(entry.root));
    Level level{
        database, entry.incarnation, root.As<PageHeader>().level, entry.root, {{entry.root, {}}}};
    root.Release();
    for (;;) {
      std::vector<Expected> children;
      RETURN_IF_ERROR(CheckLevel(level, children));
      if (level.level == 0) break;
      --level.level;
      level.pages = std::move(children);
    }
  }
  const PageNo catalog = CatalogPageOf(database);
  if (keys_ != Store::KeyCount(database)) {
    return Fault(catalog, "database {} has {} keys, {} are counted", database, keys_,
                 Store::KeyCount(database));
  }
  if (expires_ != Store::ExpiresCount(database)) {
    return Fault(catalog, "database {} has {} keys with an expiry, {} are counted", database,
                 expires_, Store::ExpiresCount(database));
  }
  return {};
}

// Walks a level by its right links: it must meet the children that the level above names, in order,
// and besides only right halves of splits that are not finished.
Status StoreChecker::CheckLevel(const Level& level, std::vector<Expected>& children) {
  size_t next_expected = 0;
  std::string low;
  bool after_incomplete = false;
  for (PageNo page_no = level.pages[0].page_no; page_no != kNoPage;) {
    const bool expected =
        next_expected < level.pages.size() && level.pages[next_expected].page_no == page_no;
    if (expected) {
      if (level.pages[next_expected].low != low) {
        return Fault(page_no, "its parent's entry is not its left neighbour's high key");
      }
      ++next_expected;
    } else if (!after_incomplete) {
      return Fault(page_no, "no entry of its parent leads to it");
    }
    std::string high;
    PageNo right = kNoPage;
    RETURN_IF_ERROR(CheckNode(level, page_no, low, children, high, right, after_incomplete));
    if ((right == kNoPage) != high.empty()) {
      return Fault(page_no, "its high key and its right link do not agree");
    }
    low = std::move(high);
    page_no = right;
  }
  if (next_expected != level.pages.size()) {
    return Fault(level.pages[next_expected].page_no, "no left neighbour leads to it");
  }
  return {};
}

Status StoreChecker::CheckNode(const Level& level, PageNo page_no, const std::string& low,
                               std::vector<Expected>& children, std::string& high, PageNo& right,
                               bool& incomplete) {
  RETURN_IF_ERROR(Mark(page_no, Use::kUsed));
  ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(page_no));
  const NodeView node(page.bytes());
  RETURN_IF_ERROR(
      CheckIsNode(node.page(), page_no, {level.database, level.incarnation, level.level}));
  const auto fault = node.FindFault();
  if (fault.has_value()) return Fault(page_no, "{}", *fault);
  if ((node.page().flags & kDeletedFlag) != 0) return Fault(page_no, "it is unlinked and linked");
  if (((node.page().flags & kRootFlag) != 0) != (page_no == level.root)) {
    return Fault(page_no, "its root flag is wrong");
  }
  if (node.is_leaf() != (level.level == 0))
    return Fault(page_no, "its type and level do not agree");
  if (node.count() > 0 && CompareKeys(node.Key(0), low) < 0) {
    return Fault(page_no, "its first key is below its range");
  }
  high = node.high_key();
  right = node.page().right;
  incomplete = (node.page().flags & kIncompleteSplitFlag) != 0;
  if (node.is_leaf()) return CheckLeafCells(page.bytes(), Use::kUsed, /*count=*/true);
  if (node.Key(0) != low) return Fault(page_no, "its first entry is not its low key");
  for (uint32_t slot = 0; slot < node.count(); ++slot) {
    children.push_back({node.Child(slot), std::string(node.Key(slot))});
  }
  return {};
}

Status StoreChecker::CheckLeafCells(const std::byte* page, Use use, bool count) {
  const NodeView node(page);
  for (uint32_t slot = 0; slot < node.count(); ++slot) {
    const LeafCell cell = node.Leaf(slot);
    if (count) ++keys_;
    if (count && cell.has_expiry()) ++expires_;
    if (cell.is_overflow()) {
      RETURN_IF_ERROR(CheckChain(cell.overflow_head(), cell.value_bytes(), use));
    }
  }
  return {};
}

Status StoreChecker::CheckChain(PageNo head, uint64_t bytes, Use use) {
  uint64_t found = 0;
  for (PageNo page_no = head; page_no != kNoPage;) {
    RETURN_IF_ERROR(Mark(page_no, use));
    ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(page_no));
    const auto& header = page.As<OverflowHeader>();
    if (header.page.type != PageType::kOverflow || header.value_bytes > kOverflowBytesPerPage) {
      return Fault(page_no, "the overflow chain of page {} leads to it, it is none of its pages",
                   head);
    }
    found += header.value_bytes;
    page_no = header.page.right;
  }
  if (found != bytes) {
    return Fault(head, "its overflow chain has {} bytes, its cell says {}", found, bytes);
  }
  return {};
}

// -- Garbage.

Status StoreChecker::CheckGarbage() {
  const auto count = static_cast<PageNo>(uses_.size());
  for (PageNo page_no = kFirstFreePage; page_no < count; ++page_no) {
    // The first page of a group may be in the file before its map page is: it is free then.
    if (IsFixedPage(page_no) || MapPageOf(page_no) >= count) continue;
    ASSIGN_OR_RETURN(const PageState state, StateOf(page_no));
    if (state == PageState::kPendingChain) RETURN_IF_ERROR(CheckGarbageChain(page_no));
  }
  return {};
}

Status StoreChecker::CheckGarbageChain(PageNo head) {
  PageHeader header;
  {
    ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(head));
    header = page.As<PageHeader>();
  }
  if (IsTreePage(header)) return CheckGarbageTree(head);
  if (header.type != PageType::kOverflow) {
    return Fault(head, "the allocation map calls it the head of a garbage chain");
  }
  PageNo right = header.right;
  RETURN_IF_ERROR(Mark(head, Use::kGarbageHead));
  while (right != kNoPage) {
    RETURN_IF_ERROR(Mark(right, Use::kGarbage));
    ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(right));
    if (page.As<PageHeader>().type != PageType::kOverflow) {
      return Fault(right, "the garbage chain of page {} leads to it", head);
    }
    right = page.As<PageHeader>().right;
  }
  return {};
}

Status StoreChecker::CheckGarbageTree(PageNo head) {
  PageNo first = head;
  while (first != kNoPage) {
    PageNo next_level = kNoPage;
    for (PageNo page_no = first; page_no != kNoPage;) {
      RETURN_IF_ERROR(Mark(page_no, page_no == head ? Use::kGarbageHead : Use::kGarbage));
      ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(page_no));
      const NodeView node(page.bytes());
      if (!IsTreePage(node.page())) {
        return Fault(page_no, "the garbage tree of page {} leads to it", head);
      }
      const auto fault = node.FindFault();
      if (fault.has_value()) return Fault(page_no, "{}", *fault);
      if (page_no == first && !node.is_leaf()) {
        next_level = node.header().next_level != kNoPage ? node.header().next_level : node.Child(0);
      }
      if (node.is_leaf()) {
        RETURN_IF_ERROR(CheckLeafCells(page.bytes(), Use::kGarbage, /*count=*/false));
      }
      page_no = node.page().right;
    }
    first = next_level;
  }
  return {};
}

// -- The allocation map against what was found.

Status StoreChecker::CheckMap() {
  const auto count = static_cast<PageNo>(uses_.size());
  for (uint32_t group = 0; MapPageOfGroup(group) < count; ++group) {
    RETURN_IF_ERROR(CheckMapPage(MapPageOfGroup(group)));
  }
  return {};
}

Status StoreChecker::CheckMapPage(PageNo map_page_no) {
  ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(map_page_no));
  const auto& map = page.As<MapPage>();
  const PageNo first = map_page_no - 1;
  uint32_t pending = 0;
  for (PageNo i = first; i < first + kPagesPerMap; ++i) {
    const PageState state = GetPageState(map, i);
    if (state == PageState::kPendingPage || state == PageState::kPendingChain) ++pending;
    if (state == PageState::kFree && map.page.type == PageType::kMap && i - first < map.free_hint) {
      return Fault(i, "it is free, although the map has no free page before {}",
                   first + map.free_hint);
    }
    if (i >= uses_.size()) {
      if (state != PageState::kFree && !IsFixedPage(i))
        return Fault(i, "in use beyond the end of the file");
      continue;
    }
    const Use use = IsFixedPage(i) ? Use::kUsed : uses_[i];
    const bool right = (state == PageState::kFree && use == Use::kNone) ||
                       (state == PageState::kPendingPage && use == Use::kNone) ||
                       (state == PageState::kPendingChain && use == Use::kGarbageHead) ||
                       (state == PageState::kUsed && (use == Use::kUsed || use == Use::kGarbage));
    if (!right) {
      return Fault(i, "the allocation map has state {} for it, which {}", static_cast<int>(state),
                   use == Use::kNone ? "nothing leads to" : "something leads to");
    }
    uint64_t& total = state == PageState::kFree ? totals_.free_pages
                      : use == Use::kUsed       ? totals_.used_pages
                                                : totals_.pending_pages;
    ++total;
  }
  if (map.page.type == PageType::kMap && pending != map.pending_count) {
    return Fault(map_page_no, "it counts {} pending pages and has {}", map.pending_count, pending);
  }
  return {};
}

Status Store::Check() { return StoreChecker().Run(); }

}  // namespace warren
