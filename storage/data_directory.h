// What is in a data directory, and in which state was it left?
//
//   DIR/warren.control   format version, system id, state (clean | in use), start count,
//                        where redo begins
//   DIR/postmaster.pid   written and locked by postmaster/, not by this file
//   DIR/base/main        the data file (storage/README.md: byte tables)
//   DIR/wal/             the log's segments (wal_format.h)
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "shmem/page_io.h"
#include "storage/checkpoint.h"
#include "storage/control_file.h"
#include "storage/data_file.h"
#include "storage/redo.h"

namespace warren {

class DataDirectory {
 public:
  enum class Kind { kMissing, kEmpty, kWarren, kForeign };
  static Result<Kind> Inspect(const std::string& directory);

  // Makes a new one (the directory may exist if it is empty): control file, data file, catalog for
  // `databases` databases. Fails without leaving half of it.
  static Status Init(const std::string& directory, uint32_t databases);

  // Postmaster, after Segment::Create, before the first fork: opens the files, checks format and
  // state, marks the directory as in use (durably) and binds the buffer cache to the data file, for
  // every process forked later. A directory that was not shut down cleanly is refused in one line.
  static Status Open(const std::string& directory, uint32_t databases);

  // Startup process, alone: redo from the newest checkpoint on, then opens the log where it ends
  // and finishes the commits that were logged and not made in full. kCorrupt: the log's beginning
  // is missing or damaged.
  static Status Recover();

  // For looking only (directory_check.h): as Open, after the caller has opened the data file for
  // reading, with `pages` in its place. Nothing is written; Redo is the next step.
  static void OpenReadOnly(const std::string& directory, const ControlData& control, PageIo& pages);

  // It was not shut down cleanly before it was opened.
  static bool NeedsRecovery();

  // The part of Recover that changes pages alone: redo from the newest checkpoint on.
  static Result<RedoSummary> RedoFromCheckpoint();

  // The open data file's first page. kCorrupt names offset and reason.
  static Status CheckFileHeader(const std::string& directory, DataFile& file, uint64_t system_id);
  static Status CheckControl(const std::string& directory, const ControlData& control);

  // As the process that opened it knows it.
  static const std::string& Path();
  static std::string DataFilePath(const std::string& directory);
  static std::string WalPath(const std::string& directory);

  // Checkpointer (checkpoint.h). Keeps `keep_segments` log files more than redo needs.
  static Result<CheckpointSummary> Checkpoint(CheckpointPace pace, uint64_t keep_segments);

  // The last process with the store in use (background writer at a shutdown, when all backends are
  // gone): stores counts, writes every dirty page, syncs, then marks the directory clean, in that
  // order.
  static Status CloseCleanly();
};

}  // namespace warren
