// Scan, ScanStep, RandomKey: many keys (store.h).
#include <random>

#include "base/check.h"
#include "storage/data_file.h"
#include "storage/operation.h"
#include "storage/store.h"
#include "storage/tree.h"

namespace warren {
namespace {

// -- A private copy of one leaf, so that nothing is locked while keys are visited.

class LeafCopy {
 public:
  void Take(const SharedPage& leaf) {
    std::memcpy(bytes_, leaf.bytes(), leaf.As<PageHeader>().lower);
    const uint32_t upper = leaf.As<PageHeader>().upper;
    std::memcpy(bytes_ + upper, leaf.bytes() + upper, kPageBytes - upper);
  }
  NodeView node() const { return NodeView(bytes_); }

 private:
  alignas(8) std::byte bytes_[kPageBytes];
};

struct Visitor {
  uint32_t database;
  int64_t now_ms;
  NeedValue need;
  FunctionRef<bool(std::string_view key, const Current&)> visit;
};

// False: the visitor has had enough.
Result<bool> VisitCell(const Visitor& visitor, LeafCell cell) {
  if (cell.ExpiredAt(visitor.now_ms)) return true;
  Current current{
      .exists = true, .value = {}, .expire_at_ms = cell.expire_at_ms(), .version = cell.version()};
  if (visitor.need == NeedValue::kNo) return visitor.visit(cell.key(), current);
  if (!cell.is_overflow()) {
    current.value = cell.inline_value();
    return visitor.visit(cell.key(), current);
  }
  // The chain may be gone by now: the key is looked up again. A key that is gone is left out.
  std::string value;
  ASSIGN_OR_RETURN(const bool exists,
                   Store::Read(
                       visitor.database, cell.key(), visitor.now_ms, NeedValue::kYes,
                       [&](const Current& found, uint64_t) {
                         current = found;
                         value.assign(found.value);
                       },
                       LockLook::kHolder));
  if (!exists) return true;
  current.value = value;
  return visitor.visit(cell.key(), current);
}

// Copies the leaf that `target` leads to. False if there is no tree.
Result<bool> CopyLeaf(uint32_t database, const SearchTarget& target, LeafCopy& copy, LowKey* low) {
  bool found = false;
  RETURN_IF_ERROR(RunSteps([&]() -> Result<Step> {
    ASSIGN_OR_RETURN(const SharedPage leaf, FindNodeShared(database, 0, target, low));
    found = leaf.held();
    if (found) copy.Take(leaf);
    return Step::kDone;
  }));
  return found;
}

// Goes on by key, not by link: between two leaves nothing is held, not even an Operation.
Status ScanForward(const Store::Range& range, const Visitor& visitor) {
  LeafCopy leaf;
  std::string from(range.from);
  bool inclusive = range.from_inclusive;
  for (;;) {
    ASSIGN_OR_RETURN(const bool found,
                     CopyLeaf(visitor.database, {SearchTarget::kAt, from}, leaf, nullptr));
    if (!found) return {};
    const NodeView node = leaf.node();
    uint32_t slot = node.LowerBound(from);
    if (!inclusive && slot < node.count() && node.Key(slot) == from) ++slot;
    for (; slot < node.count(); ++slot) {
      ASSIGN_OR_RETURN(const bool more, VisitCell(visitor, node.Leaf(slot)));
      if (!more) return {};
    }
    if (!node.has_high_key()) return {};
    from = node.high_key();
    inclusive = true;
  }
}

Status ScanBackward(const Store::Range& range, const Visitor& visitor) {
  LeafCopy leaf;
  LowKey low;
  std::string below(range.from);
  SearchTarget::Kind kind = below.empty()          ? SearchTarget::kEnd
                            : range.from_inclusive ? SearchTarget::kAt
                                                   : SearchTarget::kBefore;
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, CopyLeaf(visitor.database, {kind, below}, leaf, &low));
    if (!found) return {};
    const NodeView node = leaf.node();
    uint32_t end = kind == SearchTarget::kEnd ? node.count() : node.LowerBound(below);
    if (kind == SearchTarget::kAt && end < node.count() && node.Key(end) == below) ++end;
    while (end-- > 0) {
      ASSIGN_OR_RETURN(const bool more, VisitCell(visitor, node.Leaf(end)));
      if (!more) return {};
    }
    if (low.key().empty()) return {};  // the first leaf
    below = low.key();
    kind = SearchTarget::kBefore;
  }
}

// -- Cursors.
//
// A cursor names the leaf to go on with: its page number (31 bits) and the low half of the LSN at
// which the page became that leaf. A leaf's low key never changes, and keys only move right
// (splits), so a leaf that still is what it was goes on from its first key without a miss. A leaf
// that was unlinked since was empty then: what had been in it lies from its high key on.

uint64_t MakeCursor(const PageHeader& leaf) {
  return uint64_t{leaf.page_no} << 32 | (leaf.birth_lsn & 0xffff'ffff);
}
PageNo PageOfCursor(uint64_t cursor) { return static_cast<PageNo>(cursor >> 32 & 0x7fff'ffff); }

// One step of SCAN under construction: whole leaves until there are enough keys.
class ScanBatch {
 public:
  ScanBatch(uint32_t database, uint64_t cursor, uint32_t count, int64_t now_ms)
      : database_(database), cursor_(cursor), count_(count), now_ms_(now_ms) {}

  Result<Step> Run() {
    keys.clear();
    ends_.clear();
    next_cursor = 0;
    ASSIGN_OR_RETURN(SharedPage leaf, cursor_ == 0 ? First() : Resume());
    while (leaf.held()) {
      TakeKeys(NodeView(leaf.bytes()));
      const PageNo right = leaf.As<PageHeader>().right;
      if (right == kNoPage) break;
      const ExpectedNode expected = ExpectLike(leaf.As<PageHeader>(), 0);
      // With the left one locked the right one cannot be unlinked: it is taken out through its
      // left.
      ASSIGN_OR_RETURN(SharedPage next, BufferCache::GetShared(right));
      RETURN_IF_ERROR(CheckIsNode(next.As<PageHeader>(), right, expected));
      leaf = std::move(next);
      if (ends_.size() < count_) continue;
      next_cursor = MakeCursor(leaf.As<PageHeader>());
      break;
    }
    return Step::kDone;
  }

  template <typename Visit>
  void ForEach(Visit visit) const {
    size_t from = 0;
    for (const size_t end : ends_) {
      visit(std::string_view(keys).substr(from, end - from));
      from = end;
    }
  }

  uint64_t next_cursor = 0;

 private:
  Result<SharedPage> First() { return FindNodeShared(database_, 0, {SearchTarget::kAt, {}}); }

  Result<SharedPage> Resume() {
    const PageNo page_no = PageOfCursor(cursor_);
    if (page_no < kFirstFreePage || page_no >= DataFile::Get().page_count()) return First();
    ASSIGN_OR_RETURN(const uint32_t incarnation, Incarnation());
    ASSIGN_OR_RETURN(SharedPage leaf, BufferCache::GetShared(page_no));
    const auto& header = leaf.As<PageHeader>();
    if (header.type != PageType::kLeaf || header.database != database_ ||
        MakeCursor(header) != cursor_) {
      leaf.Release();
      return First();  // the page has another use now, or never was what the cursor says
    }
    // A database that was flushed since has no key that was there all the time.
    if (header.incarnation != incarnation) return SharedPage();
    if ((header.flags & kDeletedFlag) == 0) return leaf;
    if (!NodeView(leaf.bytes()).has_high_key()) return SharedPage();
    const std::string high(NodeView(leaf.bytes()).high_key());
    leaf.Release();
    return FindNodeShared(database_, 0, {SearchTarget::kAt, high});
  }

  Result<uint32_t> Incarnation() {
    ASSIGN_OR_RETURN(const CatalogEntry entry, ReadCatalogEntry(database_));
    return entry.incarnation;
  }

  void TakeKeys(NodeView node) {
    for (uint32_t slot = 0; slot < node.count(); ++slot) {
      if (node.Leaf(slot).ExpiredAt(now_ms_)) continue;
      keys.append(node.Key(slot));
      ends_.push_back(keys.size());
    }
  }

  uint32_t database_;
  uint64_t cursor_;
  uint32_t count_;
  int64_t now_ms_;
  std::string keys;           // one after the other
  std::vector<size_t> ends_;  // where each ends
};

// -- A random key.

std::minstd_rand& Random() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return random;
}

uint32_t Below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(Random()); }

// A random cell of a random leaf; nothing if that leaf is empty or the cell's time has come.
Result<std::optional<std::string>> TryRandomKey(uint32_t database, int64_t now_ms) {
  ASSIGN_OR_RETURN(SharedPage page, GetRoot(database));
  if (!page.held()) return std::optional<std::string>();
  while (page.As<PageHeader>().level > 0) {
    const NodeView node(page.bytes());
    const ExpectedNode expected = ExpectLike(node.page(), node.page().level - 1u);
    const PageNo child = node.Child(Below(node.count()));
    page.Release();
    ASSIGN_OR_RETURN(page, BufferCache::GetShared(child));
    RETURN_IF_ERROR(CheckIsNode(page.As<PageHeader>(), child, expected));
  }
  const NodeView leaf(page.bytes());
  if (leaf.count() == 0) return std::optional<std::string>();
  const LeafCell cell = leaf.Leaf(Below(leaf.count()));
  if (cell.ExpiredAt(now_ms)) return std::optional<std::string>();
  return std::optional<std::string>(cell.key());
}

void CheckDatabase(uint32_t database) {
  CHECK(database < Segment::Config().database_count, "no database {}", database);
}

}  // namespace

Status Store::Scan(uint32_t database, const Range& range, int64_t now_ms, NeedValue need,
                   FunctionRef<bool(std::string_view key, const Current&)> visit) {
  CheckDatabase(database);
  const Visitor visitor{database, now_ms, need, visit};
  return range.reverse ? ScanBackward(range, visitor) : ScanForward(range, visitor);
}

Result<uint64_t> Store::ScanStep(uint32_t database, uint64_t cursor, uint32_t count, int64_t now_ms,
                                 FunctionRef<void(std::string_view key)> visit) {
  CheckDatabase(database);
  ScanBatch batch(database, cursor, count, now_ms);
  RETURN_IF_ERROR(RunSteps([&] { return batch.Run(); }));
  batch.ForEach(visit);
  return batch.next_cursor;
}

Result<std::optional<std::string>> Store::RandomKey(uint32_t database, int64_t now_ms) {
  CheckDatabase(database);
  constexpr int kTries = 32;
  std::optional<std::string> key;
  for (int tries = 0; tries < kTries && !key.has_value(); ++tries) {
    RETURN_IF_ERROR(RunSteps([&]() -> Result<Step> {
      ASSIGN_OR_RETURN(key, TryRandomKey(database, now_ms));
      return Step::kDone;
    }));
  }
  if (key.has_value() || KeyCount(database) == 0) return key;
  // Nearly all are empty leaves or expired keys: the first key that is there.
  RETURN_IF_ERROR(
      Scan(database, Range{}, now_ms, NeedValue::kNo, [&](std::string_view found, const Current&) {
        key.emplace(found);
        return false;
      }));
  return key;
}

}  // namespace warren
