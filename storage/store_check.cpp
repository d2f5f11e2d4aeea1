#include "storage/store_check.h"

#include <algorithm>
#include <cstring>

#include "shmem/segment.h"
#include "storage/data_file.h"
#include "storage/database_counts.h"
#include "storage/map_page.h"
#include "storage/operation.h"
#include "storage/overflow.h"
#include "storage/record.h"
#include "storage/store.h"
#include "storage/tree.h"

namespace warren {
Status StoreChecker::Run() {
  FaultList faults;
  RETURN_IF_ERROR(Run(faults, [] { return true; }));
  return faults.AsStatus();
}

Status StoreChecker::Run(FaultList& faults, FunctionRef<bool()> keep_going) {
  const Operation operation;
  faults_ = &faults;
  keep_going_ = &keep_going;
  uses_.assign(DataFile::Get().page_count(), Use::kNone);
  totals_ = StoreTotals{};
  gap_anywhere_ = false;
  // Also of databases that the settings leave out: their trees may be there, without keys.
  for (uint32_t database = 0; database < kMaxDatabases; ++database) {
    RETURN_IF_ERROR(CheckDatabase(database));
  }
  RETURN_IF_ERROR(CheckGarbage());
  const auto count = static_cast<PageNo>(uses_.size());
  for (uint32_t group = 0; MapPageOfGroup(group) < count; ++group) {
    RETURN_IF_ERROR(CheckMapPage(MapPageOfGroup(group)));
  }
  return {};
}

Status StoreChecker::KeepGoing() const {
  if ((*keep_going_)()) return {};
  return CheckStopped();
}

Result<SharedPage> StoreChecker::Look(PageNo page_no) {
  Result<SharedPage> page = BufferCache::GetShared(page_no);
  if (page.ok()) return page;
  const ErrorCode code = page.error().code;
  if (code != ErrorCode::kCorrupt && code != ErrorCode::kIo) return page;
  faults_->AddUnreadable(page_no, page.error());
  NoteGap();
  return SharedPage();
}

bool StoreChecker::Mark(PageNo page_no, Use use) {
  std::string_view what;
  if (page_no >= uses_.size()) {
    what = "a link leads to it, it lies beyond the end of the file";
  } else if (IsFixedPage(page_no)) {
    what = "a link leads to it, although its place is fixed";
  } else if (uses_[page_no] != Use::kNone) {
    what = "two links lead to it";
  } else {
    uses_[page_no] = use;
    return true;
  }
  Fault(page_no, 0, what);
  NoteGap();
  return false;
}

// -- Trees.

Status StoreChecker::CheckDatabase(uint32_t database) {
  CatalogEntry entry;
  {
    ASSIGN_OR_RETURN(const SharedPage catalog, Look(CatalogPageOf(database)));
    if (!catalog.held()) return {};
    if (catalog.As<PageHeader>().type != PageType::kCatalog) {
      Fault(catalog.page_no(), offsetof(PageHeader, type), "expected a catalog page");
      NoteGap();
      return {};
    }
    entry = catalog.As<CatalogPage>().entries[CatalogIndexOf(database)];
  }
  keys_ = expires_ = 0;
  gap_ = false;
  if (entry.root != kNoPage) RETURN_IF_ERROR(CheckTree(database, entry));
  totals_.keys += keys_;
  if (!gap_ && database < Segment::Config().database_count) CheckCounts(database);
  return {};
}

void StoreChecker::CheckCounts(uint32_t database) {
  const PageNo catalog = CatalogPageOf(database);
  const auto byte = static_cast<uint32_t>(offsetof(CatalogPage, entries) +
                                          CatalogIndexOf(database) * sizeof(CatalogEntry));
  if (keys_ != Store::KeyCount(database)) {
    Fault(catalog, byte + offsetof(CatalogEntry, keys),
          fmt::format("database {} has {} keys, {} are counted", database, keys_,
                      Store::KeyCount(database)));
  }
  if (expires_ != Store::ExpiresCount(database)) {
    Fault(catalog, byte + offsetof(CatalogEntry, expires),
          fmt::format("database {} has {} keys with an expiry, {} are counted", database, expires_,
                      Store::ExpiresCount(database)));
  }
}

Status StoreChecker::CheckTree(uint32_t database, const CatalogEntry& entry) {
  ++totals_.trees;
  Level level{.database = database,
              .incarnation = entry.incarnation,
              .level = 0,
              .root = entry.root,
              .pages = {{entry.root, {}, false}},
              .gap_at_end = false};
  if (entry.root < uses_.size()) {  // else the first Mark says so
    ASSIGN_OR_RETURN(const SharedPage root, Look(entry.root));
    if (!root.held()) return {};
    level.level = root.As<PageHeader>().level;
  }
  for (;;) {
    ASSIGN_OR_RETURN(Level below, CheckLevel(level));
    if (level.level == 0 || below.pages.empty()) return {};
    level = std::move(below);
  }
}

// Walks a level by its right links: it must meet the children that the level above names, in order,
// and besides only right halves of splits that are not finished. Returns what the level below must
// be.
Result<StoreChecker::Level> StoreChecker::CheckLevel(const Level& level) {
  Level below{.database = level.database,
              .incarnation = level.incarnation,
              .level = level.level - 1,
              .root = level.root,
              .pages = {},
              .gap_at_end = false};
  size_t next = 0;
  std::string low = level.pages[0].low;
  bool after_incomplete = false;
  for (PageNo page_no = level.pages[0].page_no; page_no != kNoPage;) {
    RETURN_IF_ERROR(KeepGoing());
    CheckEntry(level, next, page_no, low, after_incomplete);
    Node node{};
    ASSIGN_OR_RETURN(const bool sound, CheckNode(level, page_no, low, below, node));
    if (sound) {
      low = std::move(node.high);
      page_no = node.right;
      after_incomplete = node.incomplete;
      continue;
    }
    NoteGap();
    below.gap_at_end = true;
    if (next == level.pages.size()) return below;
    page_no = level.pages[next].page_no;  // on the other side of the gap
    low = level.pages[next].low;
    after_incomplete = false;
  }
  if (next != level.pages.size()) {
    Fault(level.pages[next].page_no, 0, "no left neighbour leads to it");
    NoteGap();
  }
  return below;
}

// Does the level above know of this page? `next` is the entry that should be it.
void StoreChecker::CheckEntry(const Level& level, size_t& next, PageNo page_no,
                              const std::string& low, bool after_incomplete) {
  const auto is_it = [&](const Expected& entry) { return entry.page_no == page_no; };
  const auto begin = level.pages.begin() + static_cast<std::ptrdiff_t>(next);
  if (next < level.pages.size() && is_it(*begin)) {
    if (begin->low != low) {
      Fault(page_no, 0, "its parent's entry is not its left neighbour's high key");
    }
    ++next;
    return;
  }
  const auto found = std::find_if(begin, level.pages.end(), is_it);
  if (found != level.pages.end()) {
    Fault(begin->page_no, 0, "no left neighbour leads to it");
    NoteGap();
    next = static_cast<size_t>(found - level.pages.begin()) + 1;
    return;
  }
  const bool may_be_unknown = begin != level.pages.end() ? begin->behind_gap : level.gap_at_end;
  if (!after_incomplete && !may_be_unknown) Fault(page_no, 0, "no entry of its parent leads to it");
}

// What is wrong with the node by itself. False: its links can't be believed.
bool StoreChecker::IsSound(const Level& level, const SharedPage& page) {
  const NodeView node(page.bytes());
  const PageNo page_no = page.page_no();
  const Status is_node =
      CheckIsNode(node.page(), page_no, {level.database, level.incarnation, level.level});
  if (!is_node.ok()) {
    faults_->AddUnreadable(page_no, is_node.error());
    return false;
  }
  if (node.is_leaf() != (level.level == 0)) {
    Fault(page_no, offsetof(PageHeader, level), "its type and level do not agree");
    return false;
  }
  if (const auto fault = node.FindFault(); fault.has_value()) {
    Fault(page_no, offsetof(NodeHeader, slot_count), *fault);
    return false;
  }
  if ((node.page().flags & kDeletedFlag) != 0) {
    Fault(page_no, offsetof(PageHeader, flags), "it is unlinked and linked");
    return false;
  }
  if (((node.page().flags & kRootFlag) != 0) != (page_no == level.root)) {
    Fault(page_no, offsetof(PageHeader, flags), "its root flag is wrong");
  }
  return true;
}

Result<bool> StoreChecker::CheckNode(const Level& level, PageNo page_no, const std::string& low,
                                     Level& below, Node& found) {
  if (!Mark(page_no, Use::kUsed)) return false;
  ASSIGN_OR_RETURN(const SharedPage page, Look(page_no));
  if (!page.held() || !IsSound(level, page)) return false;
  const NodeView node(page.bytes());
  found = {std::string(node.high_key()), node.page().right,
           (node.page().flags & kIncompleteSplitFlag) != 0};
  if ((found.right == kNoPage) != found.high.empty()) {
    Fault(page_no, offsetof(PageHeader, right), "its high key and its right link do not agree");
    return false;
  }
  if (node.is_leaf()) {
    if (node.count() > 0 && CompareKeys(node.Key(0), low) < 0) {
      Fault(page_no, node.CellOffset(0), "its first key is below its range");
    }
    RETURN_IF_ERROR(CheckLeafCells(page, Use::kUsed, /*count=*/true));
    return true;
  }
  if (node.Key(0) != low) {
    Fault(page_no, node.CellOffset(0), "its first entry is not its low key");
  }
  for (uint32_t slot = 0; slot < node.count(); ++slot) {
    const bool behind_gap = std::exchange(below.gap_at_end, false);
    below.pages.push_back({node.Child(slot), std::string(node.Key(slot)), behind_gap});
  }
  return true;
}

Status StoreChecker::CheckLeafCells(const SharedPage& page, Use use, bool count) {
  const NodeView node(page.bytes());
  for (uint32_t slot = 0; slot < node.count(); ++slot) {
    const LeafCell cell = node.Leaf(slot);
    if (count) ++keys_;
    if (count && cell.has_expiry()) ++expires_;
    if (!cell.is_overflow()) continue;
    if (cell.stored_value_bytes() != kOverflowRefBytes) {
      Fault(page.page_no(), node.CellOffset(slot), "a cell's reference to its chain is cut short");
      NoteGap();
      continue;
    }
    RETURN_IF_ERROR(CheckChain(cell.overflow_head(), cell.value_bytes(), use));
  }
  return {};
}

Status StoreChecker::CheckChain(PageNo head, uint64_t bytes, Use use) {
  uint64_t found = 0;
  for (PageNo page_no = head; page_no != kNoPage;) {
    if (!Mark(page_no, use)) return {};
    ASSIGN_OR_RETURN(const SharedPage page, Look(page_no));
    if (!page.held()) return {};
    const auto& header = page.As<OverflowHeader>();
    if (header.page.type != PageType::kOverflow || header.value_bytes > kOverflowBytesPerPage) {
      Fault(
          page_no, offsetof(PageHeader, type),
          fmt::format("the overflow chain of page {} leads to it, it is none of its pages", head));
      NoteGap();
      return {};
    }
    found += header.value_bytes;
    page_no = header.page.right;
  }
  if (found != bytes) {
    Fault(head, offsetof(OverflowHeader, value_bytes),
          fmt::format("its overflow chain has {} bytes, its cell says {}", found, bytes));
  }
  return {};
}

// -- Garbage.

Status StoreChecker::CheckGarbage() {
  const auto count = static_cast<PageNo>(uses_.size());
  MapPage map;
  for (PageNo first = 0; first < count; first += kPagesPerMap) {
    // The first page of a group may be in the file before its map page is: it is free then.
    const PageNo map_page_no = MapPageOf(first);
    if (map_page_no >= count) break;
    {
      ASSIGN_OR_RETURN(const SharedPage page, Look(map_page_no));
      if (!page.held()) continue;
      std::memcpy(&map, page.bytes(), sizeof map);
    }
    PageNo from = first;
    for (;;) {
      const auto pending = FindPendingPage(map, map_page_no, from);
      if (!pending.has_value() || *pending >= count) break;
      from = *pending + 1;
      if (GetPageState(map, *pending) != PageState::kPendingChain || IsFixedPage(*pending))
        continue;
      RETURN_IF_ERROR(KeepGoing());
      RETURN_IF_ERROR(CheckGarbageChain(*pending));
    }
  }
  return {};
}

Status StoreChecker::CheckGarbageChain(PageNo head) {
  PageHeader header;
  {
    ASSIGN_OR_RETURN(const SharedPage page, Look(head));
    if (!page.held()) return {};
    header = page.As<PageHeader>();
  }
  if (IsTreePage(header)) return CheckGarbageTree(head);
  if (header.type != PageType::kOverflow) {
    Fault(head, offsetof(PageHeader, type),
          "the allocation map calls it the head of a garbage chain");
    return {};
  }
  if (!Mark(head, Use::kGarbageHead)) return {};
  for (PageNo right = header.right; right != kNoPage;) {
    if (!Mark(right, Use::kGarbage)) return {};
    ASSIGN_OR_RETURN(const SharedPage page, Look(right));
    if (!page.held()) return {};
    if (page.As<PageHeader>().type != PageType::kOverflow) {
      Fault(right, offsetof(PageHeader, type),
            fmt::format("the garbage chain of page {} leads to it", head));
      NoteGap();
      return {};
    }
    right = page.As<PageHeader>().right;
  }
  return {};
}

Status StoreChecker::CheckGarbageTree(PageNo head) {
  for (PageNo first = head; first != kNoPage;) {
    ASSIGN_OR_RETURN(first, CheckGarbageLevel(head, first));
  }
  return {};
}

// Returns the first page of the level below.
Result<PageNo> StoreChecker::CheckGarbageLevel(PageNo head, PageNo first) {
  PageNo next_level = kNoPage;
  for (PageNo page_no = first; page_no != kNoPage;) {
    if (!Mark(page_no, page_no == head ? Use::kGarbageHead : Use::kGarbage)) return kNoPage;
    ASSIGN_OR_RETURN(const SharedPage page, Look(page_no));
    if (!page.held()) return kNoPage;
    const NodeView node(page.bytes());
    const bool is_tree_page = IsTreePage(node.page());
    const auto fault = is_tree_page ? node.FindFault() : std::nullopt;
    if (!is_tree_page || fault.has_value()) {
      Fault(page_no, is_tree_page ? offsetof(NodeHeader, slot_count) : offsetof(PageHeader, type),
            is_tree_page ? std::string(*fault)
                         : fmt::format("the garbage tree of page {} leads to it", head));
      NoteGap();
      return kNoPage;
    }
    if (page_no == first && !node.is_leaf()) {
      next_level = node.header().next_level != kNoPage ? node.header().next_level : node.Child(0);
    }
    if (node.is_leaf()) RETURN_IF_ERROR(CheckLeafCells(page, Use::kGarbage, /*count=*/false));
    page_no = node.page().right;
  }
  return next_level;
}

// -- The allocation map against what was found.

Status StoreChecker::CheckMapPage(PageNo map_page_no) {
  ASSIGN_OR_RETURN(const SharedPage page, Look(map_page_no));
  if (!page.held()) return {};
  const auto& map = page.As<MapPage>();
  if (map.page.type != PageType::kMap && map.page.type != PageType::kNone) {
    Fault(map_page_no, offsetof(PageHeader, type), "expected a page of the allocation map");
    return {};
  }
  const PageNo first = map_page_no - 1;
  uint32_t pending = 0;
  for (PageNo i = first; i < first + kPagesPerMap; ++i) {
    const PageState state = GetPageState(map, i);
    if (state == PageState::kPendingPage || state == PageState::kPendingChain) ++pending;
    if (state == PageState::kFree && map.page.type == PageType::kMap && i - first < map.free_hint) {
      Fault(i, 0,
            fmt::format("it is free, although the map has no free page before {}",
                        first + map.free_hint));
    }
    CheckMapEntry(page, i);
  }
  if (map.page.type == PageType::kMap && pending != map.pending_count) {
    Fault(map_page_no, offsetof(MapPage, pending_count),
          fmt::format("it counts {} pending pages and has {}", map.pending_count, pending));
  }
  return {};
}

void StoreChecker::CheckMapEntry(const SharedPage& map_page, PageNo page_no) {
  const PageState state = GetPageState(map_page.As<MapPage>(), page_no);
  if (page_no >= uses_.size()) {
    if (state != PageState::kFree && !IsFixedPage(page_no)) {
      Fault(page_no, 0, "in use beyond the end of the file");
    }
    return;
  }
  const Use use = IsFixedPage(page_no) ? Use::kUsed : uses_[page_no];
  const bool right = (state == PageState::kFree && use == Use::kNone) ||
                     (state == PageState::kPendingPage && use == Use::kNone) ||
                     (state == PageState::kPendingChain && use == Use::kGarbageHead) ||
                     (state == PageState::kUsed && (use == Use::kUsed || use == Use::kGarbage));
  if (!right && !(use == Use::kNone && gap_anywhere_)) {
    Fault(
        page_no, 0,
        fmt::format("the allocation map (page {}) calls it {}, {} leads to it", map_page.page_no(),
                    PageStateName(state), use == Use::kNone ? "but nothing" : "but something"));
  }
  uint64_t& total = state == PageState::kFree ? totals_.free_pages
                    : use == Use::kUsed       ? totals_.used_pages
                                              : totals_.pending_pages;
  ++total;
}

Status Store::Check() { return StoreChecker().Run(); }

}  // namespace warren
