#include "storage/tree.h"

#include "shmem/stats.h"
#include "storage/data_file.h"
#include "storage/leaf_hint.h"

namespace warren {
namespace {

// Of this process. A cached root is believed if the page says that it is the root of this database.
thread_local std::array<PageNo, kMaxDatabases> t_roots{};
thread_local IncompleteSplit t_incomplete_split;

// How often catalog and root may disagree because the root changes just then.
constexpr int kRootTries = 10'000;

template <typename Page>
Result<Page> Get(PageNo page_no) {
  if constexpr (std::is_same_v<Page, SharedPage>) {
    return BufferCache::GetShared(page_no);
  } else {
    return BufferCache::GetExclusive(page_no);
  }
}

bool IsRootOf(const PageHeader& page, uint32_t database) {
  return IsTreePage(page) && (page.flags & kRootFlag) != 0 && page.database == database;
}

void NoteIncompleteSplit(NodeView left) {
  t_incomplete_split = {true, left.page().database, left.page().level,
                        std::string(left.high_key())};
}

// From `page` to the node of its level in whose range `target` lies. False: an unlinked node was
// met, nothing is held, start again from the root.
template <typename Page>
Result<bool> MoveRight(Page& page, const ExpectedNode& expected, const SearchTarget& target,
                       LowKey* low) {
  for (;;) {
    const NodeView node(page.bytes());
    RETURN_IF_ERROR(CheckIsNode(node.page(), page.page_no(), expected));
    if ((node.page().flags & kDeletedFlag) != 0) {
      page.Release();
      return false;
    }
    if (!node.MustMoveRight(target)) return true;
    if ((node.page().flags & kIncompleteSplitFlag) != 0) NoteIncompleteSplit(node);
    if (low != nullptr) low->Set(node.high_key());
    const PageNo right = node.page().right;
    if (right == kNoPage) {
      return MakeError(ErrorCode::kCorrupt, "{}: it has a high key and no right neighbour",
                       DescribePage(page.page_no()));
    }
    page.Release();
    ASSIGN_OR_RETURN(page, Get<Page>(right));
  }
}

// One descent. False: start again from the root.
template <typename Page>
Result<bool> Descend(SharedPage& page, uint32_t level, const SearchTarget& target, LowKey* low,
                     Page& found) {
  ExpectedNode expected = ExpectLike(page.As<PageHeader>(), page.As<PageHeader>().level);
  PageNo next = page.page_no();
  while (expected.level > level) {
    ASSIGN_OR_RETURN(const bool arrived, MoveRight(page, expected, target, low));
    if (!arrived) return false;
    const NodeView node(page.bytes());
    const uint32_t slot = node.ChildSlot(target);
    if (low != nullptr) low->Set(node.Key(slot));
    next = node.Child(slot);
    page.Release();
    if (--expected.level > level) {
      ASSIGN_OR_RETURN(page, BufferCache::GetShared(next));
    }
  }
  page.Release();
  ASSIGN_OR_RETURN(found, Get<Page>(next));
  return MoveRight(found, expected, target, low);
}

template <typename Page>
Result<Page> FindNode(uint32_t database, uint32_t level, const SearchTarget& target, LowKey* low) {
  for (;;) {
    ASSIGN_OR_RETURN(SharedPage root, GetRoot(database));
    if (!root.held() || root.As<PageHeader>().level < level) return Page();
    if (low != nullptr) low->Set({});
    Page found;
    ASSIGN_OR_RETURN(const bool arrived, Descend(root, level, target, low, found));
    if (arrived) return found;
  }
}

// Is there a leaf in the buffer? Only a guess, but whoever has others than leaves is not disturbed.
bool SeemsLeaf(BufferIndex buffer) {
  static_assert(sizeof(PageType) == sizeof(uint16_t));
  return static_cast<PageType>(BufferCache::Glimpse(buffer, offsetof(PageHeader, type))) ==
         PageType::kLeaf;
}

// The page in the buffer that a hint names, if `lock` gets it and it is the leaf; else not held.
template <typename Page>
FoundLeaf<Page> FollowHint(const LeafHint& hint, uint32_t database, std::string_view key,
                           bool (*lock)(BufferIndex, Page*)) {
  FoundLeaf<Page> leaf;
  const LeafPlace hinted = hint.place();
  if (!SeemsLeaf(hinted.buffer) || !lock(hinted.buffer, &leaf.page)) return leaf;
  const std::optional<KeySlot> at = LeafHint::Locate(leaf.node(), database, key, hinted.slot);
  if (at) {
    leaf.at = *at;
    if (at->slot != hinted.slot) hint.Set({hinted.buffer, at->slot});
  } else {
    leaf.page.Release();
  }
  return leaf;
}

template <typename Page>
Result<FoundLeaf<Page>> FindLeaf(uint32_t database, std::string_view key) {
  const LeafHint hint(database, key);
  FoundLeaf<Page> leaf = FollowHint<Page>(hint, database, key, BufferCache::LockBuffer);
  if (leaf.held()) return leaf;
  Stats::Add(StatId::kTreeDescents);
  ASSIGN_OR_RETURN(leaf.page, FindNode<Page>(database, 0, {SearchTarget::kAt, key}, nullptr));
  if (!leaf.held()) return leaf;
  leaf.at = leaf.node().Locate(key);
  hint.Set({leaf.page.buffer(), leaf.at.slot});
  return leaf;
}

}  // namespace

FoundLeaf<ExclusivePage> FindHintedLeaf(const LeafHint& hint, uint32_t database,
                                        std::string_view key, HintWait wait) {
  if (wait == HintWait::kTry) {
    return FollowHint<ExclusivePage>(hint, database, key, BufferCache::TryLockBuffer);
  }
  return FollowHint<ExclusivePage>(hint, database, key, BufferCache::LockBuffer);
}

Status CheckIsNode(const PageHeader& page, PageNo page_no, const ExpectedNode& expected) {
  if (IsTreePage(page) && page.database == expected.database &&
      page.incarnation == expected.incarnation && page.level == expected.level) {
    return {};
  }
  return MakeError(ErrorCode::kCorrupt,
                   "{}: expected a tree page of database {} incarnation {} level {}, found type {} "
                   "of database {} incarnation {} level {}",
                   DescribePage(page_no), expected.database, expected.incarnation, expected.level,
                   static_cast<int>(page.type), page.database, page.incarnation, page.level);
}

void ForgetRoots() { t_roots.fill(kNoPage); }

void ForgetRoot(uint32_t database) { t_roots[database] = kNoPage; }

IncompleteSplit TakeIncompleteSplit() {
  if (!t_incomplete_split.met) return {};
  return std::exchange(t_incomplete_split, {});
}

Result<CatalogEntry> ReadCatalogEntry(uint32_t database) {
  ASSIGN_OR_RETURN(const SharedPage catalog, BufferCache::GetShared(CatalogPageOf(database)));
  if (catalog.As<PageHeader>().type != PageType::kCatalog) {
    return MakeError(ErrorCode::kCorrupt, "{}: expected a catalog page",
                     DescribePage(catalog.page_no()));
  }
  return catalog.As<CatalogPage>().entries[CatalogIndexOf(database)];
}

Result<SharedPage> GetRoot(uint32_t database) {
  PageNo& cached = t_roots[database];
  for (int tries = 0; tries < kRootTries; ++tries) {
    if (cached == kNoPage) {
      ASSIGN_OR_RETURN(const CatalogEntry entry, ReadCatalogEntry(database));
      if (entry.root == kNoPage) return SharedPage();
      cached = entry.root;
    }
    ASSIGN_OR_RETURN(SharedPage root, BufferCache::GetShared(cached));
    if (IsRootOf(root.As<PageHeader>(), database)) return root;
    cached = kNoPage;
  }
  return MakeError(ErrorCode::kCorrupt, "{}: database {} has no page that calls itself its root",
                   DescribePage(CatalogPageOf(database)), database);
}

Result<std::optional<RootSeen>> LookAtRoot(uint32_t database) {
  ASSIGN_OR_RETURN(const SharedPage root, GetRoot(database));
  if (!root.held()) return std::optional<RootSeen>();
  const auto& page = root.As<PageHeader>();
  return std::optional(RootSeen{root.page_no(), page.level, page.incarnation});
}

Result<SharedPage> FindNodeShared(uint32_t database, uint32_t level, const SearchTarget& target,
                                  LowKey* low) {
  return FindNode<SharedPage>(database, level, target, low);
}

Result<ExclusivePage> FindNodeExclusive(uint32_t database, uint32_t level,
                                        const SearchTarget& target) {
  return FindNode<ExclusivePage>(database, level, target, nullptr);
}

Result<FoundLeaf<SharedPage>> FindLeafShared(uint32_t database, std::string_view key) {
  return FindLeaf<SharedPage>(database, key);
}

Result<FoundLeaf<ExclusivePage>> FindLeafExclusive(uint32_t database, std::string_view key) {
  return FindLeaf<ExclusivePage>(database, key);
}

}  // namespace warren
