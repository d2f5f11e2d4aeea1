#include "storage/checkpoint.h"

#include <cstring>
#include <vector>

#include "base/clock.h"
#include "base/ordered_store.h"
#include "shmem/buffer_cache.h"
#include "shmem/segment.h"
#include "storage/storage_failure.h"
#include "storage/truncate.h"
#include "storage/wal.h"
#include "storage/wal_format.h"
#include "storage/wal_reader.h"
#include "storage/wal_retention.h"

namespace warren {
namespace {

// Fills `head` with the counts as they are now. Under the insert lock, where they stand still.
void CollectCounts(std::vector<std::byte>& bytes, Lsn oldest_commit) {
  const uint32_t databases = Segment::Config().database_count;
  const CheckpointHead head{
      .wall_clock_us = WallClockUs(),
      .count = databases,
      .reserved = 0,
      .oldest_commit = oldest_commit,
      .token_limit = Segment::Server().logged_token_limit.load(std::memory_order_relaxed)};
  std::memcpy(bytes.data(), &head, sizeof head);
  for (uint32_t database = 0; database < databases; ++database) {
    const DatabaseCounts& counts = Segment::Database(database);
    const CheckpointCount entry{.database = database,
                                .reserved = 0,
                                .keys = counts.keys.load(std::memory_order_relaxed),
                                .expires = counts.expires.load(std::memory_order_relaxed)};
    std::memcpy(bytes.data() + sizeof head + database * sizeof entry, &entry, sizeof entry);
  }
}

// Step 1.
struct CheckpointBegin {
  Lsn redo_begin = 0;  // the record's begin
  Lsn log_begin = 0;   // redo needs the log from here on
};

Result<CheckpointBegin> BeginCheckpoint() {
  std::vector<std::byte> bytes(sizeof(CheckpointHead) +
                               Segment::Config().database_count * sizeof(CheckpointCount));
  ASSIGN_OR_RETURN(WalInsertion insertion, WalInsertion::Begin(bytes.size()));
  // Under the lock: a commit whose first record is in the log already is seen.
  const Lsn oldest_commit = Segment::Procs().OldestCommit();
  CollectCounts(bytes, oldest_commit);
  // Under the same lock as the record: every later record is built for this value. A death before
  // the publish only makes for more images than needed.
  StoreAfter(Segment::Wal().checkpoint_start, insertion.begin());
  insertion.Publish(kCheckpoint, 0, bytes, {}, 0, nullptr);
  return CheckpointBegin{insertion.begin(), oldest_commit != 0 ? oldest_commit : insertion.begin()};
}

}  // namespace

Result<CheckpointSummary> RunCheckpoint(StoreRedoBegin store, CheckpointPace pace,
                                        uint64_t keep_segments) {
  WalState& state = Segment::Wal();
  if (StorageHasFailed()) return StorageFailure();
  CheckpointSummary summary;
  CheckpointBegin begin;
  {
    // Not between the record of a cut of the data file and the end of its sync: redo from here on
    // would not see the record.
    const ExclusiveLock lock(Segment::DataFileLock());
    RETURN_IF_ERROR(FinishCut());
    ASSIGN_OR_RETURN(begin, BeginCheckpoint());
  }
  summary.redo_begin = begin.redo_begin;
  ASSIGN_OR_RETURN(summary.pages_written, BufferCache::WriteDirty(pace));
  if (Status synced = BufferCache::Sync(); !synced.ok()) {
    DeclareDataFileFailed(errno);
    return std::move(synced).error();
  }
  // The control file must not name a record that a power failure could take away.
  RETURN_IF_ERROR(Wal::FlushAll());
  RETURN_IF_ERROR(store(summary.redo_begin));
  // Until the next one the log will grow about as much as it did until this one: so many old files
  // are given new names instead of being removed, since a new one costs as much as what it holds.
  const uint64_t log_of_a_round = summary.redo_begin - state.redo_point.load();
  StoreAfter(state.redo_point, summary.redo_begin);
  StoreAfter(state.log_begin, begin.log_begin);
  ASSIGN_OR_RETURN(summary.segments_removed,
                   Wal::RemoveSegmentsBefore(OldestSegmentNeeded(begin.log_begin, keep_segments),
                                             log_of_a_round));
  return summary;
}

Result<CheckpointHead> ReadCheckpointHead(std::span<const std::byte> bytes) {
  CheckpointHead head;
  if (bytes.size() < sizeof head)
    return MakeError(ErrorCode::kCorrupt, "checkpoint record is cut short");
  std::memcpy(&head, bytes.data(), sizeof head);
  if (bytes.size() != sizeof head + head.count * sizeof(CheckpointCount)) {
    return MakeError(ErrorCode::kCorrupt, "checkpoint record of {} bytes for {} databases",
                     bytes.size(), head.count);
  }
  return head;
}

Result<Lsn> FindLogBegin(Lsn redo_begin) {
  WalReader reader(redo_begin);
  ASSIGN_OR_RETURN(const std::optional<WalRecord> record, reader.Next());
  // A new log has no checkpoint yet; one that is damaged there is found by redo.
  if (!record.has_value() || record->header.type != kCheckpoint) return redo_begin;
  ASSIGN_OR_RETURN(const CheckpointHead head, ReadCheckpointHead(record->head));
  return head.oldest_commit != 0 ? head.oldest_commit : redo_begin;
}

Status LoadCheckpointCounts(std::span<const std::byte> bytes) {
  ASSIGN_OR_RETURN(const CheckpointHead head, ReadCheckpointHead(bytes));
  for (uint32_t i = 0; i < head.count; ++i) {
    CheckpointCount entry;
    std::memcpy(&entry, bytes.data() + sizeof head + i * sizeof entry, sizeof entry);
    if (entry.database >= Segment::Config().database_count) continue;
    DatabaseCounts& counts = Segment::Database(entry.database);
    counts.keys.store(entry.keys, std::memory_order_relaxed);
    counts.expires.store(entry.expires, std::memory_order_relaxed);
  }
  return {};
}

}  // namespace warren
