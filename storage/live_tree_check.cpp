#include "storage/live_tree_check.h"

#include <cstring>
#include <optional>

#include "shmem/segment.h"
#include "storage/data_file.h"
#include "storage/map_page.h"
#include "storage/overflow.h"
#include "storage/tree.h"

namespace warren {
namespace {

constexpr int kNodesPerOperation = 16;

// What is wrong with the store, not with this moment.
bool IsFault(const Error& error) {
  return error.code == ErrorCode::kCorrupt || error.code == ErrorCode::kIo;
}

struct Chain {
  PageNo head;
  uint64_t bytes;
};

// One level of one tree, a few nodes at a time.
class LevelChecker {
 public:
  LevelChecker(LiveReport& report, uint32_t database, uint32_t level)
      : report_(report), database_(database), level_(level) {}

  Status Run(FunctionRef<bool()> keep_going) {
    while (!done_) {
      if (!keep_going()) return CheckStopped();
      Status status = RunSteps([this] { return CheckSome(); });
      if (status.ok()) continue;
      if (!IsFault(status.error())) return status;
      report_.faults.AddError(status.error());
      RETURN_IF_ERROR(SkipBadNode());
    }
    return {};
  }

 private:
  // Checks nodes from `from_` on, each together with its right neighbour.
  Result<Step> CheckSome() {
    ASSIGN_OR_RETURN(const std::optional<RootSeen> root, LookAtRoot(database_));
    LowKey low_key;
    ASSIGN_OR_RETURN(SharedPage node,
                     FindNodeShared(database_, level_, {SearchTarget::kAt, from_}, &low_key));
    if (!node.held() || IsOfAnotherTree(node)) return Finish();
    has_parents_ = root.has_value() && root->level > level_ && root->incarnation == incarnation_;
    std::string low(low_key.key());
    chains_.clear();
    uint64_t keys = 0;
    if (low.empty()) RETURN_IF_ERROR(CheckParentEntry(false, node, low));
    bool last = false;
    for (int i = 0; i < kNodesPerOperation; ++i) {
      ASSIGN_OR_RETURN(const bool sound, CheckNode(node, low));
      if (!sound) return Finish();  // where it leads can't be believed
      const NodeView view(node.bytes());
      if (view.is_leaf()) keys += view.count();
      last = !view.has_high_key();
      if (last) break;
      std::string high(view.high_key());
      ASSIGN_OR_RETURN(SharedPage right, BufferCache::GetShared(view.page().right));
      ASSIGN_OR_RETURN(const bool follows, CheckNeighbour(node, right, high));
      if (!follows) return Finish();
      node = std::move(right);
      low = std::move(high);
    }
    node.Release();
    for (const Chain& chain : chains_) RETURN_IF_ERROR(CheckChain(chain));
    report_.keys += keys;
    from_ = std::move(low);
    return last ? Finish() : Result<Step>(Step::kDone);
  }

  Step Finish() {
    done_ = true;
    return Step::kDone;
  }

  // A FLUSH has taken the tree away; what comes in its place is not for this walk.
  bool IsOfAnotherTree(const SharedPage& node) {
    const uint32_t incarnation = node.As<PageHeader>().incarnation;
    if (!incarnation_.has_value()) incarnation_ = incarnation;
    return *incarnation_ != incarnation;
  }

  void Fault(const SharedPage& page, size_t byte, std::string_view what) {
    report_.faults.AddPage(page.page_no(), static_cast<uint32_t>(byte), what);
  }

  // What must be true of a linked node that is held. False: don't go on from it.
  Result<bool> CheckNode(const SharedPage& page, std::string_view low) {
    const NodeView node(page.bytes());
    if (const auto fault = node.FindFault(); fault.has_value()) {
      Fault(page, offsetof(NodeHeader, slot_count), *fault);
      return false;
    }
    if (node.is_leaf() != (level_ == 0)) {
      Fault(page, offsetof(PageHeader, level), "its type and level do not agree");
      return false;
    }
    if ((node.page().right == kNoPage) == node.has_high_key()) {
      Fault(page, offsetof(PageHeader, right), "its high key and its right link do not agree");
      return false;
    }
    if (node.has_high_key() && CompareKeys(node.high_key(), low) <= 0) {
      Fault(page, node.header().high_offset, "its high key is not above its low key");
      return false;
    }
    if (node.count() > 0 && CompareKeys(node.Key(0), low) < 0) {
      Fault(page, node.CellOffset(0), "its first key is below its range");
    }
    if (!node.is_leaf() && node.Key(0) != low) {
      Fault(page, node.CellOffset(0), "its first entry is not its low key");
    }
    // A dropped root is pending while those that came before the FLUSH still read it.
    if (node.page().deleted_lsn == 0) RETURN_IF_ERROR(CheckIsUsed(page.page_no()));
    if (!node.is_leaf()) return true;
    for (uint32_t slot = 0; slot < node.count(); ++slot) {
      const LeafCell cell = node.Leaf(slot);
      if (!cell.is_overflow()) continue;
      if (cell.stored_value_bytes() != kOverflowRefBytes) {
        Fault(page, node.CellOffset(slot), "a cell's reference to its chain is cut short");
        continue;
      }
      RETURN_IF_ERROR(CheckIsUsed(cell.overflow_head()));
      chains_.push_back({cell.overflow_head(), cell.value_bytes()});
    }
    return true;
  }

  // Only while what links to the page is locked.
  Status CheckIsUsed(PageNo page_no) {
    if (IsFixedPage(page_no)) {
      report_.faults.AddPage(page_no, 0, "a link leads to it, although its place is fixed");
      return {};
    }
    ASSIGN_OR_RETURN(const SharedPage map, BufferCache::GetShared(MapPageOf(page_no)));
    if (GetPageState(map.As<MapPage>(), page_no) == PageState::kUsed) return {};
    report_.faults.AddPage(
        page_no, 0,
        fmt::format("the allocation map (page {}) does not call it used, but something leads to it",
                    map.page_no()));
    return {};
  }

  // `right` as the right neighbour of `left`, both held. False: don't go on to it.
  Result<bool> CheckNeighbour(const SharedPage& left, const SharedPage& right,
                              const std::string& low) {
    const auto& page = right.As<PageHeader>();
    RETURN_IF_ERROR(CheckIsNode(page, right.page_no(), ExpectLike(left.As<PageHeader>(), level_)));
    if ((page.flags & (kDeletedFlag | kRootFlag)) != 0) {
      Fault(right, offsetof(PageHeader, flags),
            (page.flags & kDeletedFlag) != 0 ? "it is unlinked and linked"
                                             : "it has the root flag and a left neighbour");
      return false;
    }
    const bool without_entry = (left.As<PageHeader>().flags & kIncompleteSplitFlag) != 0;
    RETURN_IF_ERROR(CheckParentEntry(without_entry, right, low));
    return true;
  }

  // With the node and its left neighbour held, nobody gives it an entry or takes it away.
  Status CheckParentEntry(bool without_entry, const SharedPage& node, std::string_view low) {
    // No level above: this is the root, or a node to its right whose split is not finished.
    if (!has_parents_) return {};
    ForgetRoot(database_);
    ASSIGN_OR_RETURN(const SharedPage parent,
                     FindNodeShared(database_, level_ + 1, {SearchTarget::kAt, low}));
    // No parent: the tree was dropped.
    if (!parent.held() || IsOfAnotherTree(parent)) return {};
    const NodeView view(parent.bytes());
    const auto slot = view.SlotOfChild(node.page_no());
    if (slot.has_value() && view.Key(*slot) == low) {
      if (without_entry)
        Fault(node, 0, "its parent has an entry for it, its left neighbour says no");
    } else if (!without_entry) {
      Fault(node, 0, "no entry of its parent leads to it");
    }
    return {};
  }

  // Within the operation that found its cell.
  Status CheckChain(const Chain& chain) {
    uint64_t found = 0;
    for (PageNo page_no = chain.head; page_no != kNoPage && found <= chain.bytes;) {
      ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(page_no));
      const auto& header = page.As<OverflowHeader>();
      if (header.page.type != PageType::kOverflow || header.value_bytes == 0 ||
          header.value_bytes > kOverflowBytesPerPage) {
        Fault(page, offsetof(PageHeader, type),
              fmt::format("the overflow chain of page {} leads to it, it is none of its pages",
                          chain.head));
        return {};
      }
      found += header.value_bytes;
      page_no = header.page.right;
    }
    if (found != chain.bytes) {
      report_.faults.AddPage(chain.head, offsetof(OverflowHeader, value_bytes),
                             fmt::format("its overflow chain does not have the {} bytes that its "
                                         "cell says",
                                         chain.bytes));
    }
    return {};
  }

  // The level above names where it goes on behind a node that can't be read.
  Status SkipBadNode() {
    const Status status = RunSteps([this]() -> Result<Step> {
      ASSIGN_OR_RETURN(const SharedPage parent,
                       FindNodeShared(database_, level_ + 1, {SearchTarget::kAt, from_}));
      if (!parent.held() || IsOfAnotherTree(parent)) return Finish();
      const NodeView view(parent.bytes());
      const uint32_t next = view.ChildSlot({SearchTarget::kAt, from_}) + 1;
      if (next < view.count()) {
        from_ = view.Key(next);
      } else if (view.has_high_key()) {
        from_ = view.high_key();
      } else {
        return Finish();
      }
      return Step::kDone;
    });
    if (status.ok() || !IsFault(status.error())) return status;
    done_ = true;
    return {};
  }

  LiveReport& report_;
  const uint32_t database_;
  const uint32_t level_;
  std::optional<uint32_t> incarnation_;
  bool has_parents_ = false;  // when the nodes in hand were looked for
  std::string from_;          // low key of the node to go on with
  bool done_ = false;
  std::vector<Chain> chains_;
};

// The height of the tree less one, or nothing if there is none. With the root held nobody changes
// the catalog's entry for it.
Result<std::optional<uint32_t>> CheckRoot(LiveReport& report, uint32_t database) {
  std::optional<uint32_t> level;
  const Status status = RunSteps([&]() -> Result<Step> {
    level.reset();
    ASSIGN_OR_RETURN(const SharedPage root, GetRoot(database));
    if (!root.held()) return Step::kDone;
    level = root.As<PageHeader>().level;
    ASSIGN_OR_RETURN(const CatalogEntry entry, ReadCatalogEntry(database));
    if (entry.root != root.page_no() || entry.incarnation != root.As<PageHeader>().incarnation) {
      report.faults.AddPage(root.page_no(), offsetof(PageHeader, flags),
                            fmt::format("it calls itself the root of database {}, the catalog "
                                        "names page {}",
                                        database, entry.root));
    }
    const uint32_t counted_for = Segment::Database(database).incarnation.load();
    if (entry.incarnation != counted_for) {
      report.faults.Add(fmt::format("database {} has incarnation {}, shared memory says {}",
                                    database, entry.incarnation, counted_for));
    }
    return Step::kDone;
  });
  if (status.ok()) return level;
  if (!IsFault(status.error())) return status.error();
  report.faults.AddError(status.error());
  return std::optional<uint32_t>();
}

// -- The map.

// With the page held, its state in the map says what it is.
Status CheckPending(LiveReport& report, PageNo page_no) {
  ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(page_no));
  ASSIGN_OR_RETURN(const SharedPage map, BufferCache::GetShared(MapPageOf(page_no)));
  const PageState state = GetPageState(map.As<MapPage>(), page_no);
  const auto& header = page.As<PageHeader>();
  const bool is_unlinked =
      IsTreePage(header) && (header.flags & kDeletedFlag) != 0 && header.deleted_lsn != 0;
  const bool is_head = IsTreePage(header) || header.type == PageType::kOverflow;
  if ((state == PageState::kPendingPage && !is_unlinked) ||
      (state == PageState::kPendingChain && !is_head)) {
    report.faults.AddPage(page_no, offsetof(PageHeader, type),
                          "the allocation map calls it garbage, it does not say so itself");
  }
  return {};
}

void CheckMapBytes(LiveReport& report, const MapPage& map, PageNo map_page_no) {
  if (map.page.type == PageType::kNone) return;
  const auto fault = [&](size_t byte, const std::string& what) {
    report.faults.AddPage(map_page_no, static_cast<uint32_t>(byte), what);
  };
  if (map.page.type != PageType::kMap) {
    return fault(offsetof(PageHeader, type), "expected a page of the allocation map");
  }
  const PageNo first = map_page_no - 1;
  uint32_t pending = 0;
  for (uint32_t i = 0; i < kPagesPerMap; ++i) {
    const PageState state = GetPageState(map, first + i);
    if (state == PageState::kPendingPage || state == PageState::kPendingChain) ++pending;
    if (state == PageState::kFree && i < map.free_hint) {
      fault(offsetof(MapPage, free_hint),
            fmt::format("page {} is free, although there is none before {}", first + i,
                        first + map.free_hint));
    }
  }
  if (pending != map.pending_count) {
    fault(offsetof(MapPage, pending_count),
          fmt::format("it counts {} pending pages and has {}", map.pending_count, pending));
  }
}

}  // namespace

Status CheckRunningTrees(LiveReport& report, FunctionRef<bool()> keep_going) {
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    ASSIGN_OR_RETURN(const auto height, CheckRoot(report, database));
    if (!height.has_value()) continue;
    for (uint32_t level = *height + 1; level-- > 0;) {
      RETURN_IF_ERROR(LevelChecker(report, database, level).Run(keep_going));
    }
  }
  return {};
}

Status CheckRunningMap(LiveReport& report, FunctionRef<bool()> keep_going) {
  const PageNo count = DataFile::Get().page_count();
  MapPage map;
  for (PageNo first = 0; first < count && MapPageOf(first) < count; first += kPagesPerMap) {
    const PageNo map_page_no = MapPageOf(first);
    if (!keep_going()) return CheckStopped();
    const Status status = RunSteps([&]() -> Result<Step> {
      ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(map_page_no));
      std::memcpy(&map, page.bytes(), sizeof map);
      return Step::kDone;
    });
    if (!status.ok() && !IsFault(status.error())) return status;
    if (!status.ok()) {
      report.faults.AddError(status.error());
      continue;
    }
    CheckMapBytes(report, map, map_page_no);
    for (auto pending = FindPendingPage(map, map_page_no, first); pending.has_value();
         pending = FindPendingPage(map, map_page_no, *pending + 1)) {
      const Status looked = RunSteps([&]() -> Result<Step> {
        RETURN_IF_ERROR(CheckPending(report, *pending));
        return Step::kDone;
      });
      if (looked.ok()) continue;
      if (!IsFault(looked.error())) return looked;
      // It may have been freed, and the file cut off before it, since the map was read.
      if (*pending < DataFile::Get().page_count()) report.faults.AddError(looked.error());
    }
  }
  return {};
}

}  // namespace warren
