#include "storage/leaf_hint.h"

#include <array>

#include "base/check.h"
#include "base/checksum.h"
#include "shmem/buffer_cache.h"
#include "shmem/segment.h"

namespace warren {
namespace {

constexpr uint32_t kMostSlots =
    (kPageBytes - sizeof(NodeHeader)) / (kSlotBytes + kLeafCellHeaderBytes);
static_assert(kMostSlots < 1u << kLeafHintSlotBits);

// Of a cell: with a value of that size, most of it.
constexpr size_t kPrefetchedCellBytes = 128;

}  // namespace

LeafHint::LeafHint(uint32_t database, std::string_view key)
    : place_(&g_leaf_hint_table.places[Checksum64(std::as_bytes(std::span(key)), database) &
                                       g_leaf_hint_table.mask]) {}

LeafPlace LeafHint::place() const {
  const uint32_t word = place_->load(std::memory_order_relaxed);
  const uint32_t slot_bits = g_leaf_hint_table.slot_bits;
  return {.buffer = (word >> slot_bits) - 1, .slot = word & ((1u << slot_bits) - 1)};
}

void LeafHint::Set(LeafPlace place) const {
  const uint32_t slot_bits = g_leaf_hint_table.slot_bits;
  const uint32_t slot = place.slot & ((1u << slot_bits) - 1);
  const uint32_t word = (place.buffer + 1) << slot_bits | slot;
  // Who only reads leaves the line to others.
  if (place_->load(std::memory_order_relaxed) != word) {
    place_->store(word, std::memory_order_relaxed);
  }
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
  std::array<LeafPlace, kMostPrefetched> all;
  CHECK(keys.size() <= all.size());
  for (size_t i = 0; i < keys.size(); ++i) all[i] = LeafHint(database, keys[i]).place();
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
