#include "storage/expiry.h"

#include <algorithm>

#include "shmem/latch.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/operation.h"
#include "storage/store.h"
#include "storage/tree.h"
#include "storage/tree_change.h"

namespace warren {
namespace {

void Lower(std::atomic<int64_t>& next_ms, int64_t to_ms) {
  int64_t known = next_ms.load(std::memory_order_relaxed);
  while (to_ms < known && !next_ms.compare_exchange_weak(known, to_ms)) {
  }
}

}  // namespace

void NoteExpiry(uint32_t database, int64_t expire_at_ms) {
  if (expire_at_ms != kNoExpiry) Lower(Segment::Database(database).next_expiry_ms, expire_at_ms);
}

void WakeVacuumFor(int64_t expire_at_ms) {
  if (expire_at_ms == kNoExpiry) return;
  VacuumState& vacuum = Segment::Vacuum();
  // Vacuum stores until when it sleeps, then looks at all databases once more: it sees the key that
  // was just written, or this sees that it sleeps.
  if (vacuum.sleeps_until_ms.load() <= expire_at_ms) return;
  // One of all writers wakes it.
  if (vacuum.sleeps_until_ms.exchange(0) == 0) return;
  SetLatch(Segment::Procs(), Unpack(vacuum.requests.worker.load()));
}

int64_t NextExpiryMs(uint32_t database) {
  if (Store::ExpiresCount(database) == 0) return kNeverMs;
  return Segment::Database(database).next_expiry_ms.load();
}

void ForgetNextExpiries() {
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    Segment::Database(database).next_expiry_ms.store(0);
  }
}

ExpirySweep::ExpirySweep(uint32_t database) : database_(database) {
  Segment::Database(database).next_expiry_ms.store(kNeverMs);
}

ExpirySweep::~ExpirySweep() {
  Lower(Segment::Database(database_).next_expiry_ms, at_end_ ? next_expiry_ms_ : 0);
  if (at_end_) Stats::Add(StatId::kVacuumSweeps);
}

Status ExpirySweep::LookAtLeaf(int64_t now_ms) {
  uint64_t expiring = 0;
  int64_t next_ms = kNeverMs;
  RETURN_IF_ERROR(RunSteps([&]() -> Result<Step> {
    expired_.clear();
    high_key_.clear();
    empty_ = false;
    expiring = 0;
    next_ms = kNeverMs;
    ASSIGN_OR_RETURN(const SharedPage leaf,
                     FindNodeShared(database_, 0, {SearchTarget::kAt, from_}));
    if (!leaf.held()) return Step::kDone;
    const NodeView node(leaf.bytes());
    for (uint32_t slot = 0; slot < node.count(); ++slot) {
      const LeafCell cell = node.Leaf(slot);
      if (!cell.has_expiry()) continue;
      ++expiring;
      if (cell.ExpiredAt(now_ms)) {
        expired_.emplace_back(cell.key());
      } else {
        next_ms = std::min(next_ms, cell.expire_at_ms());
      }
    }
    empty_ = node.count() == 0;
    high_key_ = node.high_key();
    return Step::kDone;
  }));
  totals_.expiring += expiring;
  ++totals_.pages;
  next_expiry_ms_ = std::min(next_expiry_ms_, next_ms);
  Stats::Add(StatId::kVacuumPages);
  return {};
}

Result<bool> ExpirySweep::NextLeaf(int64_t now_ms) {
  RETURN_IF_ERROR(LookAtLeaf(now_ms));
  for (const std::string& key : expired_) {
    ASSIGN_OR_RETURN(const bool removed, Store::Expire(database_, key, now_ms));
    if (removed) {
      ++totals_.removed;
    } else {
      // Perhaps somebody has locked it: the next sweep tries again.
      next_expiry_ms_ = std::min(next_expiry_ms_, now_ms);
    }
  }
  // Whoever emptied it may have been hindered, or have died before. The last key of a leaf takes it
  // along.
  if (empty_) UnlinkEmptyLeaf(database_, from_);
  from_ = high_key_;
  at_end_ = high_key_.empty();
  return !at_end_;
}

}  // namespace warren
