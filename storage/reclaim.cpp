#include "storage/reclaim.h"

#include <sched.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "shmem/stats.h"
#include "storage/data_file.h"
#include "storage/operation.h"
#include "storage/page_space.h"

namespace warren {
namespace {

constexpr uint32_t kRoomPages = 256;         // freed at once before the file is extended
constexpr uint32_t kLooksPerCollect = 4096;  // pending entries looked at by one CollectGarbage
constexpr size_t kPagesPerRecord = 48;

// Of this process: where the last CollectGarbage stopped looking.
thread_local PageNo t_look_from = 0;

// Of this process (ChainProtection).
thread_local std::unordered_set<PageNo> t_protected;

bool MakerIsGone(const OverflowHeader& header) {
  if (header.maker_start_count != Segment::Server().start_count.load(std::memory_order_relaxed)) {
    return true;
  }
  const ProcArray procs = Segment::Procs();
  if (header.maker_slot >= procs.size()) return true;
  const Proc& maker = procs[header.maker_slot];
  if (maker.generation.load(std::memory_order_acquire) != header.maker_generation) return true;
  const ProcLife life = maker.life.load(std::memory_order_acquire);
  // A dead one's commit may still be finished, which links the chain; then its slot is freed.
  return life != ProcLife::kRunning && life != ProcLife::kStarting && life != ProcLife::kDead;
}

// May the garbage that begins with this page be freed? Once true, it stays true.
bool MayFree(const std::byte* page) {
  const PageHeader& header = HeaderOf(page);
  if (header.deleted_lsn != 0) return OldestOperation() >= header.deleted_lsn;
  return header.type == PageType::kOverflow && !t_protected.contains(header.page_no) &&
         MakerIsGone(*reinterpret_cast<const OverflowHeader*>(page));
}

Result<PageState> LookAtState(PageNo page_no) {
  ASSIGN_OR_RETURN(const SharedPage map, BufferCache::GetShared(MapPageOf(page_no)));
  return GetPageState(map.As<MapPage>(), page_no);
}

// The pages that one record frees: the first pages of a chain, in at most two groups, so that there
// is one left for the group of the page that becomes the head.
class Batch {
 public:
  bool Add(PageNo page_no) {
    if (count_ == kPagesPerRecord || !TakeGroup(MapGroupOf(page_no))) return false;
    pages_[count_++] = page_no;
    return true;
  }
  size_t count() const { return count_; }

  // Frees them; `new_head` (if held) becomes the pending head of what is left.
  Result<uint32_t> Free(const ExclusivePage& head, ExclusivePage& new_head, PageNo next_level) {
    MapPages maps;
    RETURN_IF_ERROR(maps.Lock({first_[0], first_[1], new_head.page_no()}));
    const auto& header = head.As<PageHeader>();
    MiniTransaction change(RecordType::kFreePages, header.database, header.incarnation);
    // A chain whose maker died has no deletion LSN; nobody can be heading to it.
    const FreePagesPayload payload{.deleted_lsn = std::max(header.deleted_lsn, Lsn{1}),
                                   .next_level = next_level,
                                   .reserved = 0};
    if (new_head.held()) {
      change.AddPage(new_head, PageRole::kNewHead, HeaderChanges());
      maps.Set(change, new_head.page_no(), PageState::kPendingChain);
    }
    for (size_t i = 0; i < count_; ++i) maps.Set(change, pages_[i], PageState::kFree);
    change.AddPayload(payload);
    RETURN_IF_ERROR(change.Commit());
    Stats::Add(StatId::kPagesFreed, count_);
    return static_cast<uint32_t>(count_);
  }

 private:
  bool TakeGroup(uint32_t group) {
    for (PageNo& first : first_) {
      if (first != kNoPage && MapGroupOf(first) == group) return true;
      if (first == kNoPage) {
        first = MapPageOfGroup(group);
        return true;
      }
    }
    return false;
  }

  std::array<PageNo, kPagesPerRecord> pages_;
  size_t count_ = 0;
  std::array<PageNo, 2> first_{};  // a page of each group
};

struct ChainStep {
  uint32_t freed = 0;
  PageNo next_head = kNoPage;
};

Error WrongPage(PageNo page_no, PageNo head) {
  return MakeError(ErrorCode::kCorrupt,
                   "{}: not the page that the garbage chain of page {} expects",
                   DescribePage(page_no), head);
}

// The first pages of an overflow chain. The head stays locked all the while: whoever frees a chain
// locks its head first.
Result<ChainStep> FreeOverflowPages(const ExclusivePage& head) {
  Batch batch;
  batch.Add(head.page_no());
  PageNo next = head.As<PageHeader>().right;
  while (next != kNoPage) {
    ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(next));
    if (page.As<PageHeader>().type != PageType::kOverflow) return WrongPage(next, head.page_no());
    if (!batch.Add(next)) break;
    next = page.As<PageHeader>().right;
  }
  ExclusivePage new_head;
  if (next != kNoPage) {
    ASSIGN_OR_RETURN(new_head, BufferCache::GetExclusive(next));
  }
  ASSIGN_OR_RETURN(const uint32_t freed, batch.Free(head, new_head, kNoPage));
  return ChainStep{freed, next};
}

// Garbage leaves: each overflow chain becomes garbage of its own.
Status ShedChains(ExclusivePage& leaf) {
  for (uint32_t slot = NodeView(leaf.bytes()).count(); slot-- > 0;) {
    const NodeView node(leaf.bytes());
    if (!node.Leaf(slot).is_overflow()) continue;
    const PageNo chain = node.Leaf(slot).overflow_head();
    ASSIGN_OR_RETURN(ExclusivePage chain_head, BufferCache::GetExclusive(chain));
    MapPages maps;
    RETURN_IF_ERROR(maps.Lock({chain}));
    MiniTransaction change(RecordType::kLeafErase, node.page().database, node.page().incarnation);
    const LeafErasePayload payload{slot};
    change.AddPage(leaf, PageRole::kLeaf, SlotChanges(node));
    change.AddPage(chain_head, PageRole::kOldChain, HeaderChanges());
    maps.Set(change, chain, PageState::kPendingChain);
    change.AddPayload(payload);
    RETURN_IF_ERROR(change.Commit());
  }
  return {};
}

bool IsPageOfGarbageTree(const PageHeader& page, const PageHeader& head, uint32_t level) {
  return IsTreePage(page) && page.database == head.database &&
         page.incarnation == head.incarnation && page.level == level;
}

// The first pages of a garbage tree: its levels are freed from the top, each from left to right.
// The head is the leftmost page that is left of the topmost level that is left, and knows the first
// page of the level below.
Result<ChainStep> FreeTreePages(ExclusivePage& head) {
  const PageHeader& header = head.As<PageHeader>();
  const NodeView head_node(head.bytes());
  PageNo next_level = head_node.header().next_level;
  if (header.level > 0 && next_level == kNoPage) next_level = head_node.Child(0);
  if (header.level == 0) RETURN_IF_ERROR(ShedChains(head));
  Batch batch;
  batch.Add(head.page_no());
  PageNo next = header.right;
  while (next != kNoPage) {
    ASSIGN_OR_RETURN(ExclusivePage page, BufferCache::GetExclusive(next));
    const PageHeader& found = page.As<PageHeader>();
    if (!IsPageOfGarbageTree(found, header, header.level)) return WrongPage(next, head.page_no());
    if (!batch.Add(next)) break;
    if (header.level == 0) RETURN_IF_ERROR(ShedChains(page));
    next = found.right;
  }
  const bool level_done = next == kNoPage;
  if (level_done) next = next_level;
  ExclusivePage new_head;
  if (next != kNoPage) {
    ASSIGN_OR_RETURN(new_head, BufferCache::GetExclusive(next));
    const uint32_t level = header.level - (level_done ? 1u : 0u);
    if (!IsPageOfGarbageTree(new_head.As<PageHeader>(), header, level)) {
      return WrongPage(next, head.page_no());
    }
  }
  ASSIGN_OR_RETURN(const uint32_t freed,
                   batch.Free(head, new_head, level_done ? kNoPage : next_level));
  return ChainStep{freed, next};
}

// Nothing freed: it is no garbage any more, or may not be freed yet.
Result<ChainStep> FreeChainStep(PageNo head) {
  ASSIGN_OR_RETURN(ExclusivePage page, BufferCache::GetExclusive(head));
  // With the head locked, a pending chain that may be freed stays one.
  ASSIGN_OR_RETURN(const PageState state, LookAtState(head));
  if (state != PageState::kPendingChain || !MayFree(page.bytes())) return ChainStep{};
  return page.As<PageHeader>().type == PageType::kOverflow ? FreeOverflowPages(page)
                                                           : FreeTreePages(page);
}

// A page that was unlinked alone.
Result<uint32_t> FreeSinglePage(PageNo page_no) {
  ASSIGN_OR_RETURN(const SharedPage page, BufferCache::GetShared(page_no));
  MapPages maps;
  RETURN_IF_ERROR(maps.Lock({page_no}));
  // With the page locked and still pending, its header says when it was deleted this time.
  if (GetPageState(maps.MapOf(page_no), page_no) != PageState::kPendingPage) return 0u;
  if (!MayFree(page.bytes())) return 0u;
  MiniTransaction change(RecordType::kFreePages, 0, 0);
  const FreePagesPayload payload{};
  maps.Set(change, page_no, PageState::kFree);
  change.AddPayload(payload);
  RETURN_IF_ERROR(change.Commit());
  Stats::Add(StatId::kPagesFreed);
  return 1u;
}

struct PendingPage {
  PageNo page_no = kNoPage;
  PageState state = PageState::kFree;
};

// The first pending page at or after `from`, in any group.
Result<PendingPage> FindPending(PageNo from) {
  const PageNo end = DataFile::Get().page_count();
  for (PageNo at = from; at < end; at = (MapGroupOf(at) + 1) * kPagesPerMap) {
    if (MapPageOf(at) >= end) break;
    ASSIGN_OR_RETURN(const SharedPage map, BufferCache::GetShared(MapPageOf(at)));
    const auto found = FindPendingPage(map.As<MapPage>(), MapPageOf(at), at);
    if (found.has_value()) return PendingPage{*found, GetPageState(map.As<MapPage>(), *found)};
  }
  return PendingPage{};
}

uint32_t FreePending(const PendingPage& pending, uint32_t page_limit) {
  if (pending.state == PageState::kPendingPage) {
    const Result<uint32_t> freed = FreeSinglePage(pending.page_no);
    return freed.ok() ? *freed : 0;
  }
  uint32_t freed = 0;
  for (PageNo head = pending.page_no; head != kNoPage && freed < page_limit;) {
    const Result<ChainStep> step = FreeChainStep(head);
    if (!step.ok() || step.value().freed == 0) break;
    freed += step.value().freed;
    head = step.value().next_head;
  }
  return freed;
}

}  // namespace

ChainProtection::ChainProtection(std::unordered_set<PageNo> heads) {
  t_protected = std::move(heads);
}
ChainProtection::~ChainProtection() { t_protected.clear(); }

Result<bool> FreeChain(PageNo head, uint64_t page_limit) {
  uint64_t freed = 0;
  while (head != kNoPage) {
    if (freed >= page_limit) return false;
    ASSIGN_OR_RETURN(const ChainStep step, FreeChainStep(head));
    if (step.freed == 0) return false;
    freed += step.freed;
    head = step.next_head;
  }
  return true;
}

void FreeDroppedTree(PageNo root) {
  if (root == kNoPage) return;
  constexpr int kTries = 100;
  // Operations take microseconds; who takes longer was stopped, or waits for a processor.
  for (int tries = 0; tries < kTries; ++tries) {
    const Result<bool> done = FreeChain(root, ~uint64_t{0});
    if (!done.ok() || *done) break;
    sched_yield();
  }
  // Chains of the tree's overflow values became garbage of their own.
  while (CollectGarbage(kRoomPages) > 0) {
  }
}

uint32_t CollectGarbage(uint32_t page_limit) {
  DCHECK(ProcArray::Self().op_start.load() == 0,
         "an operation holds up its own garbage collection");
  uint32_t freed = 0;
  bool wrapped = false;
  const PageNo start = t_look_from;
  for (uint32_t looks = 0; looks < kLooksPerCollect && freed < page_limit; ++looks) {
    const Result<PendingPage> pending = FindPending(t_look_from);
    if (!pending.ok()) break;
    if (pending.value().page_no == kNoPage || (wrapped && pending.value().page_no >= start)) {
      t_look_from = 0;
      if (wrapped || start == 0) break;
      wrapped = true;
      continue;
    }
    freed += FreePending(pending.value(), page_limit - freed);
    t_look_from = pending.value().page_no + 1;
  }
  return freed;
}

Status MakeRoom() {
  DataFile& file = DataFile::Get();
  const PageNo known_count = file.page_count();
  ASSIGN_OR_RETURN(const PageNo free_page, FindFreePageAnywhere());
  if (free_page != kNoPage || CollectGarbage(kRoomPages) > 0) return {};
  return file.GrowBeyond(known_count);
}

}  // namespace warren
