#include "storage/wal.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/ordered_store.h"
#include "base/seeded_bug.h"
#include "lwlock/lwlock.h"
#include "lwlock/repair.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/commit_reserve.h"
#include "storage/flush_rounds.h"
#include "storage/storage_failure.h"
#include "storage/wal_format.h"
#include "storage/wal_segments.h"

namespace warren {
namespace {

#ifdef WARREN_WITHOUT_LOG
// A yardstick for bench/, of what the log costs: positions advance, nothing is recorded, nothing
// can be recovered.
constexpr bool kWithoutLog = true;
#else
constexpr bool kWithoutLog = false;
#endif

Wal::Identity g_identity;

WalState& State() { return Segment::Wal(); }

// The ring: position p of the log lies at p % size.
std::span<std::byte> Ring() { return Segment::WalRing(); }

void CopyIntoRing(Lsn at, const void* bytes, size_t size) {
  const std::span<std::byte> ring = Ring();
  const size_t offset = at % ring.size();
  const size_t first = std::min(size, ring.size() - offset);
  std::memcpy(ring.data() + offset, bytes, first);
  std::memcpy(ring.data(), static_cast<const std::byte*>(bytes) + first, size - first);
}

void CopyFromRing(Lsn at, void* bytes, size_t size) {
  const std::span<std::byte> ring = Ring();
  const size_t offset = at % ring.size();
  const size_t first = std::min(size, ring.size() - offset);
  std::memcpy(bytes, ring.data() + offset, first);
  std::memcpy(static_cast<std::byte*>(bytes) + first, ring.data(), size - first);
}

WalRecordHeader MakeHeader(uint8_t type, uint8_t flags, size_t bytes, size_t head_bytes,
                           uint64_t body_hash, Lsn at) {
  WalRecordHeader header{.bytes = static_cast<uint32_t>(bytes),
                         .type = type,
                         .flags = flags,
                         .reserved16 = 0,
                         .start_count = g_identity.start_count,
                         .head_bytes = static_cast<uint32_t>(head_bytes),
                         .checksum = 0};
  header.checksum = WalChecksum(header, body_hash, at);
  return header;
}

// Fills the rest of the segment behind `log_end`, if there is any, and begins the next one.
void CrossIntoNextSegment(Lsn log_end, Lsn segment_begin) {
  const size_t rest = segment_begin - log_end;
  if (rest >= sizeof(WalRecordHeader)) {
    // A pad's body is whatever the ring holds there; its hash counts as 0.
    const WalRecordHeader pad =
        MakeHeader(static_cast<uint8_t>(WalOwnType::kPad), 0, rest, 0, 0, log_end);
    CopyIntoRing(log_end, &pad, sizeof(pad));
  }
  const WalSegmentStart start{.magic = kWalSegmentMagic,
                              .system_id = g_identity.system_id,
                              .segment_no = SegmentOf(segment_begin),
                              .format_version = kWalFormatVersion,
                              .reserved = 0};
  const WalRecordHeader header =
      MakeHeader(static_cast<uint8_t>(WalOwnType::kSegmentStart), 0, kSegmentStartRecordBytes,
                 sizeof(start), WalBodyHash(std::as_bytes(std::span(&start, 1)), 0), segment_begin);
  CopyIntoRing(segment_begin, &header, sizeof(header));
  CopyIntoRing(segment_begin + sizeof(header), &start, sizeof(start));
}

// Where a record of `bytes` goes when the log ends at `log_end`.
Lsn PlaceFor(Lsn log_end, uint64_t bytes) {
  const uint64_t offset = SegmentOffset(log_end);
  if (offset != 0 && offset + bytes <= kSegmentBytes) return log_end;
  const Lsn segment_begin = offset == 0 ? log_end : log_end - offset + kSegmentBytes;
  return segment_begin + kSegmentStartRecordBytes;
}

Status EnsureAllocatedTo(Lsn end) {
  if (kWithoutLog) return {};
  const ExclusiveLock lock(Segment::WalSegmentLock());
  for (;;) {
    const Lsn allocated = State().allocated_end.load();
    if (allocated >= end) return {};
    RETURN_IF_ERROR(WalSegments::Ensure(SegmentOf(allocated)));
    // Only now: whoever sees the new end may fill the segment.
    StoreAfter(State().allocated_end, allocated + kSegmentBytes);
    // So much has been written that a checkpoint may be due, and a segment ahead of need.
    SetLatch(Segment::Procs(), Unpack(Segment::Checkpoints().requests.worker.load()));
    SetLatch(Segment::Procs(), Unpack(State().wal_writer.load()));
  }
}

// -- What is kept for commits. With the insert lock.

void KeepFor(SlotReserve& reserve, uint64_t bytes) {
  std::atomic<uint64_t>& sum = State().reserved_bytes;
  sum.store(sum.load() - reserve.log_bytes.load() + bytes);
  reserve.log_bytes.store(bytes);
}

// What is kept for others than whoever draws on `own`.
uint64_t KeptForOthers(const SlotReserve* own) {
  const uint64_t sum = State().reserved_bytes.load(std::memory_order_relaxed);
  return own == nullptr ? sum : sum - own->log_bytes.load(std::memory_order_relaxed);
}

// Hands [from, to) to the kernel, cut at segment ends and at the ring's end.
Status WriteRange(Lsn from, Lsn to) {
  const std::span<std::byte> ring = Ring();
  while (from < to) {
    const size_t offset = from % ring.size();
    const uint64_t size =
        std::min({to - from, kSegmentBytes - SegmentOffset(from), ring.size() - offset});
    RETURN_IF_ERROR(WalSegments::Write(from, ring.data() + offset, size));
    from += size;
  }
  return {};
}

// [from, to). No segment beyond the last byte: where the log ends exactly with one, the next may
// not exist.
Status SyncRange(Lsn from, Lsn to) {
  if (from >= to) return {};
  for (uint64_t segment = SegmentOf(from); segment <= SegmentOf(to - 1); ++segment) {
    RETURN_IF_ERROR(WalSegments::Sync(segment));
    Stats::Add(StatId::kWalSyncs);
  }
  return {};
}

// Writes and syncs everything inserted so far. The flush lock is held.
Status FlushLocked() {
  WalState& state = State();
  FlushRounds::GatherCompany(state);
  const int64_t began_ns = MonotonicNs();
  const Lsn target = state.insert.load(std::memory_order_acquire);
  state.flush_target.store(target);
  FAULT_POINT(kLogWrite);
  RETURN_IF_ERROR(WriteRange(state.write.load(), target));
  StoreAfter(state.write, target);
  FAULT_POINT(kLogSync);
  const Lsn durable = state.flush.load();
  RETURN_IF_ERROR(SyncRange(durable, target));
  FAULT_POINT(kLogFlushed);
  StoreAfter(state.flush, target);
  state.sync_ns.store(MonotonicNs() - began_ns, std::memory_order_relaxed);
  if (SegmentOf(durable) != SegmentOf(target)) {  // one is complete now
    SetLatch(Segment::Procs(), Unpack(state.archiver.load()));
  }
  return {};
}

// With the flush lock, which it releases: flushes, unless somebody has just done so.
Status FlushAsOwner(Lsn lsn) RELEASE_LOCK(Segment::WalFlushLock()) NO_THREAD_SAFETY_ANALYSIS {
  WalState& state = State();
  Status status;
  if (state.failure.load() == 0 && state.flush.load() < lsn) {
    status = FlushLocked();
    // Before the lock is let go: nobody may take the log for healthy once a sync has failed, for
    // the kernel may have dropped the bytes and would report success the next time.
    if (!status.ok()) DeclareLogFailed(errno);
  }
  state.flush_target.store(FlushRounds::kUnknownTarget);
  ReleaseExclusive(Segment::WalFlushLock());
  FAULT_POINT(kLogRound);
  if (status.ok()) {
    FlushRounds::End(state);
  } else {
    FlushRounds::WakeAll(state);
    log::Error("{}", status.error().message);
    return StorageFailure();
  }
  return status;
}

// A dead flusher may have written anything beyond `flush`: its successor writes those bytes again.
void RepairFlushLock(LWLock&) noexcept {
  if (WARREN_SEEDED_BUG(flush_lock_not_repaired)) return;
  WalState& state = State();
  StoreAfter(state.write, state.flush.load());
  state.flush_target.store(FlushRounds::kUnknownTarget);
  FlushRounds::WakeAll(state);
}

// Nothing is half done: a new file gets its name when it is whole, and what the next holder finds
// is what it goes by.
void RepairSegmentLock(LWLock&) noexcept {}

}  // namespace

// The lock is handed over in the object that it returns.
Result<WalInsertion> WalInsertion::Begin(size_t body_bytes) NO_THREAD_SAFETY_ANALYSIS {
  const uint64_t bytes = AlignLsn(sizeof(WalRecordHeader) + body_bytes);
  CHECK(bytes <= kMaxWalRecordBytes, "log record of {} bytes", bytes);
  for (;;) {
    AcquireExclusive(Segment::WalInsertLock());
    const Lsn log_end = State().insert.load(std::memory_order_relaxed);
    const Lsn begin = PlaceFor(log_end, bytes);
    WalInsertion insertion(log_end, begin, begin + bytes);
    const bool failed = StorageHasFailed();
    const Lsn needed_end = insertion.end_ + KeptForOthers(ReserveInUse());
    const bool allocated = kWithoutLog || needed_end <= State().allocated_end.load();
    // Up to where the log must be durable for the record to fit into the ring.
    const Lsn room_from = insertion.end_ - std::min<Lsn>(insertion.end_, Ring().size());
    const bool fits = State().flush.load() >= room_from;
    if (!failed && allocated && fits) return insertion;
    { const WalInsertion let_go = std::move(insertion); }
    if (failed) return StorageFailure();
    if (!allocated) RETURN_IF_ERROR(EnsureAllocatedTo(needed_end));
    // Not further: while the flush that makes the room goes on with the rest, others fill the room.
    if (!fits) RETURN_IF_ERROR(Wal::Flush(room_from));
  }
}

WalInsertion::WalInsertion(WalInsertion&& other) noexcept
    : log_end_(other.log_end_),
      begin_(other.begin_),
      end_(other.end_),
      held_(std::exchange(other.held_, false)) {}

WalInsertion::~WalInsertion() NO_THREAD_SAFETY_ANALYSIS {
  if (held_) ReleaseExclusive(Segment::WalInsertLock());
}

void WalInsertion::Publish(uint8_t type, uint8_t flags, std::span<const std::byte> head,
                           std::span<const WalPiece> tail, uint64_t tail_hash,
                           std::atomic<Lsn>* planned_end) noexcept {
  if (kWithoutLog) {
    if (planned_end != nullptr) StoreAfter(*planned_end, end_);
    StoreAfter(State().insert, end_);
    StoreAfter(State().flush, end_);
    return;
  }
  FAULT_POINT(kLogCopy);
  if (begin_ != log_end_) CrossIntoNextSegment(log_end_, begin_ - kSegmentStartRecordBytes);
  Lsn at = begin_ + sizeof(WalRecordHeader);
  CopyIntoRing(at, head.data(), head.size());
  at += head.size();
  for (const WalPiece& piece : tail) {
    CopyIntoRing(at, piece.data(), piece.size());
    at += piece.size();
  }
  CHECK(AlignLsn(at) == end_);
  const WalRecordHeader header =
      MakeHeader(type, flags, at - begin_, head.size(), WalBodyHash(head, tail_hash), begin_);
  CopyIntoRing(begin_, &header, sizeof(header));
  FAULT_POINT(kLogPlan);
  // Before the publish: a death between the two leaves an end beyond `insert`, which says that the
  // record does not exist.
  const bool too_late = WARREN_SEEDED_BUG(end_planned_too_late);
  if (planned_end != nullptr && !too_late) StoreAfter(*planned_end, end_);
  FAULT_POINT(kLogPublish);
  StoreAfter(State().insert, end_);
  if (planned_end != nullptr && too_late) StoreAfter(*planned_end, end_);
  if (SlotReserve* const own = ReserveInUse(); own != nullptr) {
    const uint64_t kept = own->log_bytes.load();
    KeepFor(*own, kept - std::min(kept, end_ - log_end_));
  }
  Stats::Add(StatId::kWalRecords);
  Stats::Add(StatId::kWalBytes, end_ - log_end_);
}

void Wal::Bind(const Identity& identity) { g_identity = identity; }

const Wal::Identity& Wal::GetIdentity() { return g_identity; }

Status Wal::StartAt(Lsn end) {
  CHECK(end >= kFirstLsn && end == AlignLsn(end));
  WalState& state = State();
  // The segment that holds the byte before `end` is there in full unless the log is new.
  const Lsn segment_begin = end - SegmentOffset(end);
  state.allocated_end = segment_begin;
  state.flush = state.write = state.insert = end;
  state.flush_target = FlushRounds::kUnknownTarget;
  state.failure = 0;
  return EnsureAllocatedTo(end + 1);
}

Status Wal::Flush(Lsn lsn) {
  WalState& state = State();
  if (state.flush.load(std::memory_order_acquire) >= lsn) return {};
  // A page can't have been changed by a record that is not there: this wait would never end.
  CHECK(lsn <= state.insert.load(), "flush up to {:#x}, the log ends at {:#x}", lsn,
        state.insert.load());
  const int64_t began_ns = MonotonicNs();
  const ScopedWait wait(WaitEvent::kWalFlush);
  while (state.flush.load(std::memory_order_acquire) < lsn) {
    if (state.failure.load() != 0) return StorageFailure();
    const uint32_t round = state.flush_round.load();
    if (TryAcquireExclusive(Segment::WalFlushLock())) {
      RETURN_IF_ERROR(FlushAsOwner(lsn));
    } else {
      FlushRounds::Wait(state, round, lsn);
    }
  }
  Stats::Add(StatId::kWalFlushWaits);
  Stats::Add(StatId::kWalFlushWaitUs, static_cast<uint64_t>((MonotonicNs() - began_ns) / 1000));
  return {};
}

void Wal::OnProcessDeath() { FlushRounds::WakeAll(State()); }

Status Wal::FlushAll() { return Flush(InsertPosition()); }

Lsn Wal::InsertPosition() { return State().insert.load(std::memory_order_acquire); }

Lsn Wal::FlushPosition() { return State().flush.load(std::memory_order_acquire); }

Status Wal::Reserve(uint64_t bytes) {
  SlotReserve& own = *ReserveInUse();
  Lsn end = 0;
  {
    const ExclusiveLock lock(Segment::WalInsertLock());
    KeepFor(own, bytes);
    end = State().insert.load() + State().reserved_bytes.load();
  }
  Status allocated = EnsureAllocatedTo(end);
  if (!allocated.ok()) ReleaseReserve(own);
  return allocated;
}

void Wal::ReleaseReserve(SlotReserve& reserve) {
  const ExclusiveLock lock(Segment::WalInsertLock());
  KeepFor(reserve, 0);
}

Status Wal::PrepareNextSegment() { return EnsureAllocatedTo(InsertPosition() + kSegmentBytes); }

Result<uint32_t> Wal::RemoveSegmentsBefore(uint64_t keep_from, uint64_t bytes_ahead) {
  const ExclusiveLock lock(Segment::WalSegmentLock());
  // The one behind the one in use, too: it is prepared before it is needed.
  const uint64_t recycle_below = SegmentOf(InsertPosition() + bytes_ahead) + 2;
  ASSIGN_OR_RETURN(const uint32_t gone, WalSegments::RemoveBefore(keep_from, recycle_below));
  // Recycled ones exist in full already; the next EnsureAllocatedTo finds them.
  return gone;
}

void Wal::NoteAsynchronousChange() {
  WalState& state = State();
  const WalWriterSleep sleep = state.wal_writer_sleep.load(std::memory_order_relaxed);
  if (sleep == WalWriterSleep::kAwake) return;
  const uint64_t not_durable =
      state.insert.load(std::memory_order_relaxed) - state.flush.load(std::memory_order_relaxed);
  // Early enough that it is done before the ring is full and everybody waits for it.
  if (sleep == WalWriterSleep::kNap && not_durable < Ring().size() / 4) return;
  if (state.wal_writer_sleep.exchange(WalWriterSleep::kAwake) != WalWriterSleep::kAwake) {
    SetLatch(Segment::Procs(), Unpack(state.wal_writer.load()));
  }
}

Result<Lsn> Wal::RescueRing() {
  const WalState& state = State();
  const Lsn end = state.insert.load();
  Lsn at = state.flush.load();
  // What cannot be right was overwritten by whoever ran wild: then the files are all there is.
  if (at > end || end - at > Ring().size()) return at;
  std::vector<std::byte> record(kMaxWalRecordBytes);
  while (at < end) {
    const uint64_t rest = kSegmentBytes - SegmentOffset(at);
    if (rest < sizeof(WalRecordHeader)) {
      at += rest;
      continue;
    }
    WalRecordHeader header;
    CopyFromRing(at, &header, sizeof header);
    if (!PlausibleRecord(header, at) || at + AlignLsn(header.bytes) > end) break;
    const bool is_pad = header.type == static_cast<uint8_t>(WalOwnType::kPad);
    const size_t bytes = is_pad ? sizeof header : header.bytes;
    CopyFromRing(at, record.data(), bytes);
    if (!ValidRecord({record.data(), bytes}, at)) break;
    RETURN_IF_ERROR(WalSegments::Write(at, record.data(), bytes));
    at += AlignLsn(header.bytes);
  }
  RETURN_IF_ERROR(SyncRange(state.flush.load(), at));
  return at;
}

void RegisterWalRepairs() {
  RegisterRepair(TrancheId::kWalFlush, RepairFlushLock);
  RegisterRepair(TrancheId::kWalSegment, RepairSegmentLock);
}

}  // namespace warren
