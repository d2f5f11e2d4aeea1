#include "storage/leaf_hint.h"

#include <array>

#include "base/check.h"
#include "base/checksum.h"
#include "shmem/buffer_cache.h"
#include "shmem/segment.h"

namespace warren {

LeafHint::LeafHint(uint32_t database, std::string_view key)
    : place_(g_leaf_hint_table.pages[Checksum64(std::as_bytes(std::span(key)), database) &
                                     g_leaf_hint_table.mask]) {}

std::optional<KeySlot> LeafHint::Locate(NodeView page, uint32_t database, std::string_view key) {
  const PageHeader& header = page.page();
  if (header.type != PageType::kLeaf || header.database != database) return std::nullopt;
  // Raised with the record that takes a tree away, before the pages that make it garbage are let
  // go: whoever may free this one lets us see it first.
  const auto& incarnation = Segment::Database(database).incarnation;
  if (header.incarnation != incarnation.load(std::memory_order_acquire)) return std::nullopt;
  // An empty leaf may have been unlinked, and one that has been is empty for good.
  if (page.count() == 0) return std::nullopt;
  // A key that is there, or between two that are, lies in the range. The high key, mostly a cache
  // miss, is asked only about one behind the last.
  const KeySlot at = page.Locate(key);
  const bool in_range =
      at.stored ||
      (at.slot != 0 && (at.slot < page.count() || !page.MustMoveRight({SearchTarget::kAt, key})));
  return in_range ? std::optional(at) : std::nullopt;
}

void PrefetchLeaves(uint32_t database, std::span<const std::string_view> keys) {
  std::array<PageNo, kMostPrefetched> pages;
  CHECK(keys.size() <= pages.size());
  for (size_t i = 0; i < keys.size(); ++i) pages[i] = LeafHint(database, keys[i]).page_no();
  for (const PageNo page_no : std::span(pages).first(keys.size())) {
    if (page_no != kNoPage) BufferCache::Prefetch(page_no);
  }
}

}  // namespace warren
