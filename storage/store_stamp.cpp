// Stamps: was a key, or a leaf, left alone? (store.h)
#include "storage/store_stamp.h"

#include "shmem/lock_table.h"
#include "storage/database_counts.h"
#include "storage/node.h"
#include "storage/operation.h"
#include "storage/tree.h"

namespace warren {

LeafStamp StampOf(uint32_t database, const SharedPage& leaf) {
  if (leaf.held()) {
    const auto& header = leaf.As<PageHeader>();
    return {leaf.buffer(), leaf.page_no(), header.lsn, database, header.incarnation};
  }
  // A tree comes into being with its first key, which is counted.
  return {kNoBuffer, database, Segment::Database(database).keys.load(), database, 0};
}

bool Store::Unchanged(const LeafStamp& stamp) noexcept {
  if (stamp.buffer == kNoBuffer) {
    return Segment::Database(stamp.page_no).keys.load() == stamp.lsn;
  }
  if (Segment::Database(stamp.database).incarnation.load() != stamp.incarnation) return false;
  return BufferCache::IsUnchanged(stamp.buffer, stamp.page_no, stamp.lsn);
}

Result<KeyStamp> Store::Stamp(uint32_t database, std::string_view key, int64_t now_ms) {
  KeyStamp stamp;
  RETURN_IF_ERROR(RunSteps([&]() -> Result<Step> {
    ASSIGN_OR_RETURN(const FoundLeaf<SharedPage> leaf, FindLeafShared(database, key));
    // With the leaf locked: nobody is between raising the counter and erasing the key.
    stamp = {.removals = Segment::KeyRemovals(KeyTag(database, key).hash).load(),
             .flushes = Segment::Database(database).flushes.load()};
    if (!leaf.at.stored) return Step::kDone;
    const LeafCell cell = leaf.node().Leaf(leaf.at.slot);
    stamp.exists = !cell.ExpiredAt(now_ms);
    // Also of a cell whose time has come and that nobody has removed yet: it may have come since.
    stamp.version = cell.version();
    // A version comes once; nothing else need be known.
    if (stamp.exists) stamp.removals = stamp.flushes = 0;
    return Step::kDone;
  }));
  return stamp;
}

}  // namespace warren
