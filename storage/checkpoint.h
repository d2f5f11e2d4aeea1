// From where must redo begin?
//
// A checkpoint (fuzzy: everybody goes on writing)
//   1. puts a record into the log that bears the counts of all databases; from the moment it is
//   there,
//      `checkpoint_start` is its place, and the first change of each page carries a full image;
//   2. writes every buffer that was dirty at that moment, then syncs the data file: everything that
//      the log says before the record is in the file;
//   3. replaces the control file: redo begins at the record, but for the records of commits that
//      were being made then, which it collects from before;
//   4. takes away log segments that nobody needs any more.
// A death before 3 leaves the former checkpoint in force.
//
//   kCheckpoint record's head: CheckpointHead, then CheckpointCount[count]
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/function_ref.h"
#include "base/ids.h"
#include "base/result.h"

namespace warren {

struct CheckpointHead {
  int64_t wall_clock_us;
  uint32_t count;
  uint32_t reserved;
  Lsn oldest_commit;  // where the oldest commit begins that is not made in full; 0: none is under
                      // way
  uint64_t token_limit;  // fencing.h
};
struct CheckpointCount {
  uint32_t database;
  uint32_t reserved;
  uint64_t keys;  // with the tag of database_counts.h
  uint64_t expires;
};

// Step 3: makes `redo_begin` durable as the place where redo begins.
using StoreRedoBegin = FunctionRef<Status(Lsn redo_begin)>;
// Called after each page with how far step 2 is; may sleep to spread the load.
using CheckpointPace = FunctionRef<void(uint32_t written, uint32_t to_write)>;

struct CheckpointSummary {
  Lsn redo_begin = 0;
  uint32_t pages_written = 0;
  uint32_t segments_removed = 0;
};

// One process at a time (the checkpointer). After a failed sync no checkpoint succeeds until the
// server has started over (storage_failure.h): the kernel may have dropped pages that are clean for
// us, and only redo from the last good checkpoint brings them back.
Result<CheckpointSummary> RunCheckpoint(StoreRedoBegin store, CheckpointPace pace,
                                        uint64_t keep_segments);

// Redo: the counts as of the checkpoint record.
Status LoadCheckpointCounts(std::span<const std::byte> head);

// What a checkpoint record says besides. kCorrupt: it is none.
Result<CheckpointHead> ReadCheckpointHead(std::span<const std::byte> head);

// From where on the log is needed when redo begins at `redo_begin`: reads the record there.
Result<Lsn> FindLogBegin(Lsn redo_begin);

}  // namespace warren
