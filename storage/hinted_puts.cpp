#include "storage/hinted_puts.h"

#include <algorithm>
#include <utility>

#include "shmem/lock_table.h"
#include "storage/expiry.h"
#include "storage/leaf_change.h"
#include "storage/leaf_hint.h"
#include "storage/tree.h"

namespace warren {

Result<size_t> PutByHints(uint32_t database, std::span<const KeyPut> puts, int64_t now_ms,
                          LockLook look) {
  LeafPuts leaf_puts(now_ms);
  for (const KeyPut& put : puts.first(std::min<size_t>(puts.size(), kMaxRecordPages))) {
    const LeafHint hint(database, put.key);
    const HintWait wait = leaf_puts.count() == 0 ? HintWait::kWait : HintWait::kTry;
    FoundLeaf<ExclusivePage> leaf = FindHintedLeaf(hint, database, put.key, wait);
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
