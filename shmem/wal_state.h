// How far has the log come? The positions every process shares.
//
//   flush <= write <= insert <= allocated_end,  insert - flush <= size of the ring
//
// Each is changed by one atomic store *after* the bytes it speaks of are there.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/ids.h"

namespace warren {

enum class WalWriterSleep : uint32_t {
  kAwake,
  kNap,          // until wal_writer_delay is over, or much has been inserted
  kHibernation,  // until anything is inserted
};

enum class FileCut : uint32_t {
  kNone,
  kPlanned,  // its record is about to be logged
  kLogged,   // the end has moved; whoever has the data file lock next makes the file follow
};

struct WalState {
  // -- Written under the WAL insert lock.
  // The end of the last complete record, aligned. Bytes before it are in the ring (or, before
  // `flush`, at least on disk).
  alignas(kCacheLineBytes) std::atomic<Lsn> insert;
  // A page whose LSN is not above this gets a full image with its next change.
  std::atomic<Lsn> checkpoint_start;
  // Where redo would begin if the checkpoint under way were complete.
  std::atomic<Lsn> redo_point;
  // Redo from there needs the log from here on: commits that were being made at the checkpoint
  // began before it. Never behind redo_point.
  std::atomic<Lsn> log_begin;
  // WallClockUs of the newest time mark in the log (storage/wal_time.h).
  std::atomic<int64_t> time_marked_us;
  // The sum of all SlotReserve::log_bytes: so many bytes behind `insert` are kept for commits.
  std::atomic<uint64_t> reserved_bytes;

  // -- Written under the WAL segment lock.
  // The end of the last segment that exists in full. `insert` never passes it, so that a full disk
  // shows before anything is changed.
  alignas(kCacheLineBytes) std::atomic<Lsn> allocated_end;

  // -- Written under the WAL flush lock.
  alignas(kCacheLineBytes) std::atomic<Lsn> write;  // handed to the kernel
  std::atomic<Lsn> flush;                           // durable
  std::atomic<Lsn> flush_target;  // of the flush under way (storage/flush_rounds.h)
  std::atomic<int64_t> sync_ns;   // how long the last write and sync took
  // The errno of the write or sync after which nothing more is believed durable; 0 while all is
  // well. The postmaster starts over then, and after data_failure.
  std::atomic<int32_t> failure;

  // How many flushes have ended, and a futex; by whoever held the flush lock, after letting it go,
  // and by the process monitor.
  std::atomic<uint32_t> flush_round;
  std::atomic<uint32_t> flush_company;  // sleepers that the end of the last round woke

  // -- Written by the WAL writer.
  std::atomic<uint64_t> wal_writer;  // its PackedOwner, to be woken
  // Set to kAwake by whoever wakes it, so that only one does.
  std::atomic<WalWriterSleep> wal_writer_sleep;

  // -- Written by the archiver.
  std::atomic<uint64_t> archiver;  // its PackedOwner, to be woken
  // Segments with lower numbers are in the archive; 0: it has not looked yet.
  std::atomic<uint64_t> archived_before;
  // The newest segment that it has copied itself, and WallClockUs of that; 0: none since the start.
  std::atomic<uint64_t> last_archived;
  std::atomic<int64_t> last_archived_us;
  std::atomic<uint32_t> archive_failing;  // 1: the last attempt failed

  // -- Written by the startup process: how far redo is. It ends at `redo_limit` at the latest.
  std::atomic<Lsn> redo_begin;  // 0 while there is no redo
  std::atomic<Lsn> redo_at;
  std::atomic<Lsn> redo_limit;

  // -- Written under the data file lock; lowered under the lock of the map page concerned, too.
  // Where the data file ends (storage/README.md, "The file's end").
  std::atomic<PageNo> data_file_pages;
  // How many pages the file has room for on disk: those behind its end are kept for commits.
  std::atomic<PageNo> data_file_allocated;
  // From before the record of a cut of the file until the shorter length is durable.
  std::atomic<FileCut> data_file_cut;
  std::atomic<PageNo> data_file_cut_to;  // where the file is to end
  std::atomic<Lsn> data_file_cut_after;  // the cut's record ends behind this, if it is in the log

  // -- Written by the checkpointer.
  // So many syncs of the data file in a row were begun and did not come to a good end.
  std::atomic<uint32_t> data_syncs_cut_off;

  // -- Written by the checkpointer, or by whoever failed to cut the data file.
  // The errno of a failed sync of the data file, after which nothing is accepted; or 0.
  std::atomic<int32_t> data_failure;
};

}  // namespace warren
