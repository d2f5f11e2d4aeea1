#include "storage/leaf_hint.h"

#include <array>

#include "base/check.h"
#include "base/checksum.h"
#include "shmem/buffer_cache.h"
#include "shmem/segment.h"

namespace warren {
namespace {

constexpr int kSlotShift = 32;
constexpr int kTagShift = 48;
constexpr uint64_t kSlotMask = 0xffff;

// Of a cell: with a value of that size, most of it.
constexpr size_t kPrefetchedCellBytes = 128;

}  // namespace

// The bucket comes from the hash's highest bits, the tag from its lowest.
LeafHint::LeafHint(uint64_t hash)
    : bucket_(&g_leaf_hint_table.BucketOf(hash)), tag_(hash << kTagShift) {}

LeafHint::LeafHint(uint32_t database, std::string_view key)
    : LeafHint(Checksum64(std::as_bytes(std::span(key)), database)) {}

LeafPlace LeafHint::place() const {
  for (const std::atomic<uint64_t>& hint : bucket_->hints) {
    const uint64_t word = hint.load(std::memory_order_relaxed);
    if (word == 0) break;
    if ((word ^ tag_) >> kTagShift != 0) continue;
    return {.buffer = static_cast<BufferIndex>(word) - 1,
            .slot = static_cast<uint32_t>(word >> kSlotShift & kSlotMask)};
  }
  return {};
}

void LeafHint::Set(LeafPlace place) const {
  // Over any of them, another one each time: those of keys that are gone are not missed.
  thread_local uint32_t turn = 0;
  auto& hints = bucket_->hints;
  std::atomic<uint64_t>* into = &hints[turn++ % hints.size()];
  for (std::atomic<uint64_t>& hint : hints) {
    const uint64_t word = hint.load(std::memory_order_relaxed);
    if (word != 0 && (word ^ tag_) >> kTagShift != 0) continue;
    into = &hint;
    break;
  }
  into->store(tag_ | (place.slot & kSlotMask) << kSlotShift | (place.buffer + 1),
              std::memory_order_relaxed);
}

std::optional<KeySlot> LeafHint::Locate(NodeView page, uint32_t database, std::string_view key,
                                        uint32_t slot) {
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
  const KeySlot at = page.Locate(key, slot);
  const bool in_range =
      at.stored ||
      (at.slot != 0 && (at.slot < page.count() || !page.MustMoveRight({SearchTarget::kAt, key})));
  return in_range ? std::optional(at) : std::nullopt;
}

void PrefetchLeaves(uint32_t database, std::span<const std::string_view> keys) {
  std::array<LeafHint, kMostPrefetched> hints;
  CHECK(keys.size() <= hints.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    hints[i] = LeafHint(database, keys[i].substr(0, kNodeKeyBytesLimit));  // no key is longer
    hints[i].Prefetch();
  }
  std::array<LeafPlace, kMostPrefetched> all;
  for (size_t i = 0; i < keys.size(); ++i) all[i] = hints[i].place();
  const std::span<const LeafPlace> places = std::span(all).first(keys.size());
  for (const LeafPlace& place : places) {
    BufferCache::PrefetchLock(place.buffer);
    BufferCache::Prefetch(place.buffer, 0, sizeof(NodeHeader));
    BufferCache::Prefetch(place.buffer, NodeView::SlotOffset(place.slot), kSlotBytes);
  }
  for (const LeafPlace& place : places) {
    const size_t cell = BufferCache::Glimpse(place.buffer, NodeView::SlotOffset(place.slot));
    BufferCache::Prefetch(place.buffer, cell, kPrefetchedCellBytes);
  }
}

}  // namespace warren
