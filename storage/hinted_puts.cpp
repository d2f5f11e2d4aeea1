#include "storage/hinted_puts.h"

#include <algorithm>
#include <array>
#include <utility>

#include "shmem/lock_table.h"
#include "storage/expiry.h"
#include "storage/leaf_change.h"
#include "storage/leaf_hint.h"
#include "storage/tree.h"

namespace warren {
namespace {

// Where the hints of the first puts lead, each to another page than the one before: of the same
// leaf's next key its record has no room. All are looked up before the first is followed: the
// processor's misses of several go on at once, and most of the time goes into them.
class HintedPages {
 public:
  HintedPages(uint32_t database, std::span<const KeyPut> puts) {
    for (const KeyPut& put : puts.first(std::min(puts.size(), pages_.size()))) {
      const PageNo page_no = LeafHint(database, put.key).page_no();
      if (page_no == kNoPage || (count_ != 0 && page_no == pages_[count_ - 1])) break;
      pages_[count_++] = page_no;
    }
    if (count_ == 1) return;
    for (const PageNo page_no : pages()) BufferCache::Prefetch(page_no);
  }
  std::span<const PageNo> pages() const { return std::span(pages_).first(count_); }

 private:
  std::array<PageNo, kMaxRecordPages> pages_;
  size_t count_ = 0;
};

}  // namespace

Result<size_t> PutByHints(uint32_t database, std::span<const KeyPut> puts, int64_t now_ms,
                          LockLook look) {
  const HintedPages hinted(database, puts);
  if (hinted.pages().empty()) return size_t{0};
  LeafPuts leaf_puts(now_ms);
  for (const PageNo page_no : hinted.pages()) {
    const KeyPut& put = puts[leaf_puts.count()];
    const HintWait wait = leaf_puts.count() == 0 ? HintWait::kWait : HintWait::kTry;
    FoundLeaf<ExclusivePage> leaf = FindHintedLeaf(page_no, database, put.key, wait);
    if (!leaf.held()) break;
    if (look == LockLook::kLook && LockTable::WriteConflicts(database, put.key)) break;
    NoteExpiry(database, put.expire_at_ms);
    if (!leaf_puts.Add(std::move(leaf),
                       {.key = put.key, .value = put.value, .expire_at_ms = put.expire_at_ms})) {
      break;
    }
  }
  if (leaf_puts.count() == 0) return size_t{0};
  RETURN_IF_ERROR(leaf_puts.Commit());
  return leaf_puts.count();
}

}  // namespace warren
