// Where do the log's bytes lie on disk?
//
// Lifetime: Bind() once in the postmaster, before the first fork. Each process opens segment files
// for itself and keeps the newest one open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace warren {

class WalSegments {
 public:
  // `directory` exists (DIR/wal).
  static void Bind(std::string directory);

  // Makes the segment's file exist in full length, durably, with bytes that no reader takes for
  // records: zeros, or those of an older segment. Caller holds the WAL segment lock. kNoSpace names
  // the directory; nothing is left behind then.
  static Status Ensure(uint64_t segment_no);

  // Writes bytes that lie in one segment, in full. kIo, kNoSpace.
  static Status Write(Lsn at, const std::byte* bytes, size_t size);

  // Makes what was written to the segment durable. After a failure the kernel may have dropped the
  // bytes while a second call would report success: the caller must not try again.
  static Status Sync(uint64_t segment_no);

  // Reads up to `size` bytes of one segment; fewer at the end of a file cut short, 0 if there is no
  // such file.
  static Result<size_t> Read(Lsn at, std::byte* bytes, size_t size);

  // Numbers of all segments present, ascending.
  static Result<std::vector<uint64_t>> List();

  // Takes segments before `keep_from` out: they are renamed to follow the last one as long as their
  // numbers stay below `recycle_below`, the rest removed. Caller holds the WAL segment lock.
  // Returns how many went.
  static Result<uint32_t> RemoveBefore(uint64_t keep_from, uint64_t recycle_below);

  // Removes all segments from `first` on. For a log that nobody uses.
  static Status RemoveFrom(uint64_t first);

  // Makes every segment from `first` on durable, and their names; what is read of them from then on
  // comes from the disk.
  static Status SyncFrom(uint64_t first);

  // Removes what an interrupted Ensure left. Startup only.
  static Status RemoveLeftovers();
};

}  // namespace warren
