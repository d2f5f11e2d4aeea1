// In which buffer, and where in the leaf there, was a key when somebody looked last?
//
// A search that begins with a hint locks one page instead of one for each level of the tree, needs
// no look for the page's buffer, and mostly none for the key among the leaf's.
//
// Rules
//  1. A hint is never believed: it may name any buffer and slot at all. Whoever follows one locks
//     the buffer and asks LeafHint::Locate, which goes by the bytes of the page in it and the
//     database's incarnation alone. If the page is not the one, the search goes through the tree.
//  2. So hints are written by anybody at any time with plain relaxed stores; a death leaves nothing
//     to repair, and no test of them can be "stale".
//  3. Whoever came by a hint followed no link, so `op_start` does not protect the page. It needs
//     no protection: to free a page, its lock is taken after the tree or the leaf has been taken
//     away, and Locate finds it only before that. What is done under the page's lock is done
//     before it can be freed; whatever is found through it (overflow chains) becomes garbage
//     later still, and is protected by `op_start` as ever.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "shmem/leaf_hint_table.h"
#include "storage/node.h"

namespace warren {

struct LeafPlace {
  BufferIndex buffer = kNoBuffer;  // kNoBuffer: there is no hint
  uint32_t slot = 0;
  friend bool operator==(const LeafPlace&, const LeafPlace&) = default;
};

class LeafHint {
 public:
  LeafHint() = default;  // of no key
  LeafHint(uint32_t database, std::string_view key);

  LeafPlace place() const;
  // In the place of the hint there is, or in an empty one, or over some other key's.
  void Set(LeafPlace place) const;
  // Has what place() reads brought into the processor's cache.
  void Prefetch() const { __builtin_prefetch(bucket_); }

  // The key's place in the page, looked for in `slot` first, if that page is a leaf of the
  // database's tree, now, in whose range the key lies. The caller holds the page. Nothing also for
  // a key before the leaf's first one: where its range begins is known only above.
  static std::optional<KeySlot> Locate(NodeView page, uint32_t database, std::string_view key,
                                       uint32_t slot);

 private:
  explicit LeafHint(uint64_t hash);

  LeafHintBucket* bucket_ = nullptr;
  uint64_t tag_ = 0;  // in its place of a hint
};

// Of so many keys at most.
inline constexpr size_t kMostPrefetched = 16;
// Has what the keys' hints lead to brought into the processor's cache, for one who looks for them
// soon: the leaf's lock, its header, the key's slot, its cell. Each is asked for on behalf of all
// keys before the next is: the misses of several go on at once, and most of the time of a search
// goes into them. The caller holds nothing.
void PrefetchLeaves(uint32_t database, std::span<const std::string_view> keys);

}  // namespace warren
