// How does a change become durable?
//
// A record is copied into the ring in shared memory under the insert lock and published by one
// store (WalState::insert); it is durable once some process has written the ring up to its end to
// the segment files and synced them (WalState::flush).
//
// Locking: insert lock (rank above all pages), then nothing. Flushing takes the flush lock and does
// its I/O under it. Nothing here takes a page.
// See also: wal_format.h (bytes), wal_reader.h (reading back), shmem/wal_state.h (positions).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/ids.h"
#include "base/result.h"
#include "shmem/segment.h"
#include "shmem/wal_state.h"

namespace warren {

using WalPiece = std::span<const std::byte>;

// An insertion under way: holds the insert lock from Begin to destruction, so that what must be
// computed, published and counted in log order can be. Never waits while it holds the lock.
class [[nodiscard]] WalInsertion {
 public:
  // Takes the insert lock with room made for a record of `body_bytes`. May flush the log or make a
  // segment before (never while holding the lock). kNoSpace, kIo: nothing happened.
  static Result<WalInsertion> Begin(size_t body_bytes);

  WalInsertion(WalInsertion&& other) noexcept;
  WalInsertion& operator=(WalInsertion&&) = delete;
  ~WalInsertion();

  Lsn begin() const { return begin_; }
  Lsn end() const { return end_; }  // aligned; becomes the LSN of the pages changed

  // Copies the record into the ring, stores its end into *planned_end (if given), then publishes it
  // by one store. `tail_hash` is WalTailHash(tail). Once per insertion.
  void Publish(uint8_t type, uint8_t flags, std::span<const std::byte> head,
               std::span<const WalPiece> tail, uint64_t tail_hash,
               std::atomic<Lsn>* planned_end) noexcept;

 private:
  WalInsertion(Lsn log_end, Lsn begin, Lsn end) : log_end_(log_end), begin_(begin), end_(end) {}
  Lsn log_end_;  // where the log ended when this began
  Lsn begin_;    // where the record goes: behind padding and a segment's start, if one is crossed
  Lsn end_;
  bool held_ = true;
};

class Wal {
 public:
  struct Identity {
    uint64_t system_id = 0;
    uint32_t start_count = 0;
  };

  // Postmaster, before the first fork; WalSegments is bound.
  static void Bind(const Identity& identity);

  // Startup process, alone: the log ends at `end`; everything before is durable. The segment of
  // `end` is made to exist, and begun if it is new.
  static Status StartAt(Lsn end);

  static const Identity& GetIdentity();

  // Returns when everything before `lsn` is durable; at once when it is. Waiters are served by one
  // flusher at a time, which takes all of them along. May be called while holding pages. kIo: the
  // log has failed and accepts nothing more (storage_failure.h).
  static Status Flush(Lsn lsn);
  static Status FlushAll();
  // By whoever reaps a process that died abnormally: it may have been woken to flush for others.
  static void OnProcessDeath();

  static Lsn InsertPosition();
  static Lsn FlushPosition();

  // Takes segments before number `keep_from` away, but for those that the next `bytes_ahead` of log
  // can use.
  static Result<uint32_t> RemoveSegmentsBefore(uint64_t keep_from, uint64_t bytes_ahead);

  // Says that there is a change that nobody waits for: the WAL writer sees to it.
  static void NoteAsynchronousChange();

  // Postmaster, when a crash has ended every other process: writes what was published but had not
  // reached the files, record by record as long as their checksums hold, so that nothing is lost
  // that others have read. Returns where it ended.
  static Result<Lsn> RescueRing();

  // Keeps so many bytes of log for the commit whose reserve this process draws on
  // (commit_reserve.h), instead of what was kept for it. kNoSpace, kIo: there is not so much room.
  static Status Reserve(uint64_t bytes);
  static void ReleaseReserve(SlotReserve& reserve);

  // WAL writer: makes the segment after the current one ahead of need.
  static Status PrepareNextSegment();
};

// Registers the repairs of the flush and segment locks; that of the insert lock is a verdict on the
// dead one's record (death_repair.h). Before the first fork.
void RegisterWalRepairs();

}  // namespace warren
