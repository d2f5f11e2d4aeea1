#include "storage/segment_check.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <bit>

#include "conf/shared_settings.h"
#include "shmem/buffer_cache.h"
#include "shmem/buffer_pool.h"
#include "shmem/fault_table.h"
#include "shmem/incident.h"
#include "shmem/lock_pool.h"
#include "shmem/lock_table.h"
#include "shmem/segment.h"
#include "storage/database_counts.h"
#include "storage/mini_transaction.h"

namespace warren {
namespace {

constexpr int kLooks = 4;
constexpr int kBetweenLooksMs = 5;

template <typename... Args>
Status Wrong(fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(ErrorCode::kCorrupt, format, std::forward<Args>(args)...);
}

bool IsFree(SlotIndex slot) { return Segment::Procs()[slot].life.load() == ProcLife::kFree; }

// -- LWLocks: whoever is in one is a process that has a slot.

Status CheckHolder(const LWLock& lock, SlotIndex slot) {
  const bool there = slot < Segment::Config().slot_count() && !IsFree(slot);
  if (there) return {};
  return Wrong("lwlock {} {}: slot {} is in it, where no process is", GetTranche(lock.tranche).name,
               lock.instance, slot);
}

Status CheckLock(const LWLock& lock, TrancheId tranche) {
  if (lock.tranche != tranche)
    return Wrong("a lock of {} says otherwise", GetTranche(tranche).name);
  const uint32_t owner = lock.word.load() & LWLock::kOwnerMask;
  if (owner != 0) RETURN_IF_ERROR(CheckHolder(lock, owner - 1));
  for (uint32_t w = 0; w < ReaderWords(Segment::Config().slot_count()); ++w) {
    for (uint64_t bits = lock.readers()[w].load(); bits != 0; bits &= bits - 1) {
      const auto bit = static_cast<uint32_t>(std::countr_zero(bits));
      RETURN_IF_ERROR(CheckHolder(lock, w * kSlotsPerReaderWord + bit));
    }
  }
  return {};
}

Status CheckLocks(const LWLockArray& locks, size_t count, TrancheId tranche) {
  for (size_t i = 0; i < count; ++i) RETURN_IF_ERROR(CheckLock(locks[i], tranche));
  return {};
}

Status CheckLockSpace() {
  const LockSpace& space = Segment::Locks();
  if (space.slot_count != Segment::Config().slot_count()) {
    return Wrong("lock space: {} slots", space.slot_count);
  }
  const uint32_t covered = space.reader_words.load() * kSlotsPerReaderWord;
  for (SlotIndex slot = covered; slot < space.slot_count; ++slot) {
    if (!IsFree(slot)) return Wrong("lock space: slot {} is in use and not covered", slot);
  }
  return {};
}

// -- Processes.

Status CheckServerState() {
  const ServerState& server = Segment::Server();
  if (server.phase.load() > static_cast<uint32_t>(ServerPhase::kShuttingDown)) {
    return Wrong("server state: phase {}", server.phase.load());
  }
  // In this order: both grow, the second one first.
  const uint64_t limit = server.token_limit.load();
  if (limit > server.logged_token_limit.load()) {
    return Wrong("server state: tokens up to {} may be given out, which the log does not say",
                 limit);
  }
  return {};
}

Status CheckFreeSlot(SlotIndex slot) {
  const Proc& proc = Segment::Procs()[slot];
  const bool holds = std::ranges::any_of(
      proc.locks.held, [](const std::atomic<HeldLock>& held) { return held.load() != 0; });
  if (holds || proc.locks.pending_lock.load() != nullptr) {
    return Wrong("process slot {} is free and holds lwlocks", slot);
  }
  if (proc.commit_lsn.load() != 0) return Wrong("process slot {} is free, in a commit", slot);
  return {};
}

Status CheckProcs() {
  const ProcArray procs = Segment::Procs();
  for (SlotIndex slot = 0; slot < procs.size(); ++slot) {
    const Proc& proc = procs[slot];
    if (proc.life.load() > ProcLife::kDead ||
        static_cast<size_t>(proc.kind.load()) >= ProcessKinds().size()) {
      return Wrong("process slot {}: neither free nor anything else", slot);
    }
    if (IsFree(slot)) RETURN_IF_ERROR(CheckFreeSlot(slot));
  }
  return {};
}

Status CheckMiniTransactions() {
  for (SlotIndex slot = 0; slot < Segment::Config().slot_count(); ++slot) {
    const MiniTransactionArea& area = MiniTransactionAreaOf(slot);
    if (area.armed.load() == 0) continue;
    if (IsFree(slot))
      return Wrong("mini-transaction of slot {}: armed, and the slot is free", slot);
  }
  return {};
}

Status CheckReserves() {
  for (SlotIndex slot = 0; slot < Segment::Config().slot_count(); ++slot) {
    const SlotReserve& reserve = Segment::Reserves()[slot];
    const bool any = reserve.pages.load() != 0 || reserve.log_bytes.load() != 0;
    if (any && IsFree(slot)) return Wrong("reserve of slot {}: the slot is free", slot);
  }
  return {};
}

Status CheckSettingsArea() {
  const auto& area = *reinterpret_cast<const SharedSettingsArea*>(Segment::SettingsArea());
  const uint64_t bytes = area.copies[area.generation.load() % 2].bytes.load();
  if (bytes > kMaxPublishedBytes) return Wrong("settings: {} bytes of text", bytes);
  return {};
}

// -- The log.

Status CheckReservedLog() {
  const SharedLock lock(Segment::WalInsertLock());
  uint64_t sum = 0;
  for (const SlotReserve& reserve : Segment::Reserves()) sum += reserve.log_bytes.load();
  const uint64_t counted = Segment::Wal().reserved_bytes.load();
  if (sum != counted) return Wrong("log: {} bytes are reserved, {} are counted", sum, counted);
  return {};
}

Status CheckWalState() {
  const WalState& wal = Segment::Wal();
  // Each grows, and none passes the next one.
  const std::array<Lsn, 4> positions = {wal.flush.load(), wal.write.load(), wal.insert.load(),
                                        wal.allocated_end.load()};
  if (!std::ranges::is_sorted(positions)) {
    return Wrong("log: flushed to {:#x}, written to {:#x}, inserted to {:#x}, allocated to {:#x}",
                 positions[0], positions[1], positions[2], positions[3]);
  }
  const Lsn log_begin = wal.log_begin.load(), redo_point = wal.redo_point.load();
  if (log_begin > redo_point || redo_point > wal.insert.load()) {
    return Wrong("log: begins at {:#x}, redo at {:#x}", log_begin, redo_point);
  }
  return CheckReservedLog();
}

Status CheckDatabaseCounts() {
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    const DatabaseCounts& counts = Segment::Database(database);
    const uint64_t ended = counts.commits_ended.load();
    if (ended > counts.commits_begun.load()) {
      return Wrong("database {}: {} commits have ended, fewer have begun", database, ended);
    }
    const uint32_t incarnation = counts.incarnation.load();
    if (counts.keys.load() >> kCountBits != (incarnation & 0xffff)) {
      return Wrong("database {}: its keys are counted for another incarnation than {}", database,
                   incarnation);
    }
  }
  return {};
}

Status CheckRequests(const WorkRequests& requests, std::string_view what) {
  const uint64_t served = std::max(requests.done.load(), requests.failed.load());
  if (served > requests.requested.load()) {
    return Wrong("requests for a {}: {} are served, fewer were made", what, served);
  }
  return {};
}

// -- Tables for people.

Status CheckFaultTable() {
  for (const FaultRow& row : Segment::Faults()) {
    if (row.kind.load() > FaultKind::kError) return Wrong("fault points: an unknown action is set");
  }
  return {};
}

Status CheckIncidents() {
  const IncidentRing& ring = Segment::IncidentRows();
  for (size_t i = 0; i < IncidentRing::kRows; ++i) {
    const IncidentRow& row = ring.rows[i];
    const uint64_t id = row.id.load();
    // The newest one is there before it is counted.
    if (id != 0 && (id % IncidentRing::kRows != i || id > ring.last_id.load() + 1)) {
      return Wrong("incident {} stands in row {}", id, i);
    }
    const Owner dead = Unpack(row.dead.load());
    if (!Incidents::IsOpen(row)) continue;
    const Proc& proc = Segment::Procs()[dead.slot % Segment::Config().slot_count()];
    if (proc.generation.load() != dead.generation || proc.life.load() != ProcLife::kDead) {
      return Wrong("incident {} is open, and slot {} is not dead", id, dead.slot);
    }
  }
  return {};
}

Status CheckBufferLocks() {
  return CheckLocks(g_buffer_pool.content_locks, g_buffer_pool.count, TrancheId::kBufferContent);
}
Status CheckMappingLocks() {
  return CheckLocks(g_buffer_pool.partition_locks, kMappingPartitions, TrancheId::kBufferMapping);
}
Status CheckPartitionLocks() {
  return CheckLocks(g_lock_pool.partition_locks, kLockPartitions, TrancheId::kLockPartition);
}

constexpr std::string_view kLockTable = "as lock_entries: all of the table is checked at once";
constexpr std::string_view kCache = "as buffer_descriptors: all of the cache is checked at once";

// In the segment's order.
constexpr std::array kChecks = {
    SegmentCheck{"server_state", CheckServerState},
    SegmentCheck{"lock_space", CheckLockSpace},
    SegmentCheck{"proc_array", CheckProcs},
    SegmentCheck{"settings_lock",
                 [] { return CheckLock(Segment::SettingsLock(), TrancheId::kSettings); }},
    SegmentCheck{"settings", CheckSettingsArea},
    SegmentCheck{"wal_insert_lock",
                 [] { return CheckLock(Segment::WalInsertLock(), TrancheId::kWalInsert); }},
    SegmentCheck{"wal_segment_lock",
                 [] { return CheckLock(Segment::WalSegmentLock(), TrancheId::kWalSegment); }},
    SegmentCheck{"wal_flush_lock",
                 [] { return CheckLock(Segment::WalFlushLock(), TrancheId::kWalFlush); }},
    SegmentCheck{"data_file_lock",
                 [] { return CheckLock(Segment::DataFileLock(), TrancheId::kDataFile); }},
    SegmentCheck{"wal_state", CheckWalState},
    SegmentCheck{"checkpoint_requests",
                 [] { return CheckRequests(Segment::Checkpoints().requests, "checkpoint"); }},
    SegmentCheck{"vacuum_state",
                 [] { return CheckRequests(Segment::Vacuum().requests, "vacuum"); }},
    SegmentCheck{"fault_points", CheckFaultTable},
    SegmentCheck{"incidents", CheckIncidents},
    SegmentCheck{"wal_ring", nullptr,
                 "its bytes are the log's, which CHECK reads record by record"},
    SegmentCheck{"database_counts", CheckDatabaseCounts},
    SegmentCheck{"key_removals", nullptr, "counters that only grow; any value is right"},
    SegmentCheck{"slot_reserves", CheckReserves},
    SegmentCheck{"statistics", nullptr, "counters with one writer each; any value is right"},
    SegmentCheck{"statistics_baseline", nullptr, "sums at the last reset; any value is right"},
    SegmentCheck{"mini_transactions", CheckMiniTransactions},
    SegmentCheck{"lock_partitions", nullptr, kLockTable},
    SegmentCheck{"lock_partition_locks", CheckPartitionLocks},
    SegmentCheck{"deadlock_lock",
                 [] { return CheckLock(*g_lock_pool.deadlock_lock, TrancheId::kDeadlock); }},
    SegmentCheck{"lock_table", nullptr, "two clocks for ages and searches; any value is right"},
    SegmentCheck{"lock_databases", nullptr, kLockTable},
    SegmentCheck{"lock_owners", nullptr, "hints of waiters, which whoever reads them verifies"},
    SegmentCheck{"lock_buckets", nullptr, kLockTable},
    SegmentCheck{"lock_entries", LockTable::CheckInvariants},
    SegmentCheck{"buffer_descriptors", BufferCache::CheckInvariants},
    SegmentCheck{"buffer_content_locks", CheckBufferLocks},
    SegmentCheck{"buffer_mapping_heads", nullptr, kCache},
    SegmentCheck{"buffer_mapping_locks", CheckMappingLocks},
    SegmentCheck{"buffer_clock", nullptr, "a place to begin to look at; any value is right"},
    SegmentCheck{"leaf_hints", nullptr, "hints of leaves, which whoever follows one verifies"},
    SegmentCheck{"buffer_pages", nullptr, "pages, which CHECK walks through tree by tree"},
};

// What was seen between two stores of somebody is gone when one looks again.
bool StaysSo(const SegmentCheck& row, const std::string& fault) {
  for (int look = 1; look < kLooks; ++look) {
    poll(nullptr, 0, kBetweenLooksMs);
    const Status status = row.check();
    if (status.ok() || status.error().message != fault) return false;
  }
  return true;
}

}  // namespace

std::span<const SegmentCheck> SegmentChecks() { return kChecks; }

void CheckSegment(FaultList* faults) {
  for (const SegmentCheck& row : kChecks) {
    if (row.check == nullptr) continue;
    const Status status = row.check();
    if (!status.ok() && StaysSo(row, status.error().message)) {
      faults->Add("shared memory: " + status.error().message);
    }
  }
}

}  // namespace warren
