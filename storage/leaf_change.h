// How does one key's cell get into its leaf, and out of it?
//
// Locking: `leaf` is held exclusively, within an Operation. When kAgain or kNeedRoom is returned it
// has been let go and nothing is changed but, perhaps, the tree's shape.
#pragma once

#include <array>
#include <string_view>

#include "shmem/buffer_cache.h"
#include "storage/mini_transaction.h"
#include "storage/node.h"
#include "storage/operation.h"
#include "storage/tree.h"

namespace warren {

// A cell to be written. Its value is `value`, or the chain `head`.
struct NewCell {
  std::string_view key;
  std::string_view value;
  PageNo head = kNoPage;
  uint64_t chain_bytes = 0;
  int64_t expire_at_ms = 0;  // 0: none

  uint32_t bytes() const {
    const auto value_bytes =
        head != kNoPage ? kOverflowRefBytes : static_cast<uint32_t>(value.size());
    return kLeafCellHeaderBytes + static_cast<uint32_t>(key.size()) +
           (expire_at_ms != 0 ? 8u : 0u) + value_bytes;
  }
};

// Must a value go to a chain of its own? Independent of expiry, so that setting one never moves it.
inline bool NeedsChain(std::string_view key, uint64_t value_bytes) {
  return kLeafCellHeaderBytes + key.size() + 8 + value_bytes > kMaxCellBytes;
}

// `key`'s cell as it is, with another expiry; in a chain, the value stays where it is.
NewCell WithExpiry(const LeafCell& old, std::string_view key, int64_t expire_at_ms);

// What changes of one key leave to be done once no page is held.
struct KeyLeftovers {
  PageNo old_chain = kNoPage;
  bool leaf_emptied = false;
};

// Writes the cell at `slot`, instead of the one that is there if `replace`. A chain of the old cell
// that is not the new one's becomes garbage. The leaf stays locked after kDone.
Result<Step> PutKey(ExclusivePage& leaf, uint32_t slot, bool replace, const NewCell& cell,
                    KeyLeftovers* leftovers);

// One cell for each of several leaves, written with one record. No chains.
class LeafPuts {
 public:
  explicit LeafPuts(int64_t now_ms) : now_ms_(now_ms) {}

  // Takes the leaf, if cell, room and record allow it and the key's time has not come; else it has
  // been let go.
  bool Add(FoundLeaf<ExclusivePage> leaf, const NewCell& cell);
  size_t count() const { return count_; }
  // Makes the change and lets the leaves go. An error: nothing has changed.
  Status Commit();

 private:
  struct Put {
    ExclusivePage leaf;
    NewCell cell;
    std::array<std::byte, kLeafCellHeaderBytes> cell_header;
    LeafPutPayload payload;
    ChangedBytes changed;
  };
  const int64_t now_ms_;
  std::array<Put, kMaxRecordPages> puts_;
  size_t count_ = 0;
  size_t record_bytes_ = kFixedRecordBytes;
  size_t image_bytes_ = 0;
  int new_keys_ = 0;
  int new_expires_ = 0;

  static constexpr size_t kFixedRecordBytes =
      sizeof(RecordHeader) + kMaxRecordPages * sizeof(PageRef) + sizeof(LeafPutsPayload) + 8;
};

Result<Step> EraseKey(ExclusivePage& leaf, uint32_t slot, KeyLeftovers* leftovers);

// Does that, and finishes splits that were met. May fail without harm: garbage that stays is
// collected later.
void CleanUpAfter(uint32_t database, std::string_view key, const KeyLeftovers& leftovers);

// For those who watch a key that is not there (KeyStamp). EraseKey does it; under the leaf's lock.
void NoteRemoval(uint32_t database, std::string_view key);

}  // namespace warren
