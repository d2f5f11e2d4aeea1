// What is in a data directory, and in which state was it left?
//
//   DIR/warren.control   format version, system id, state (clean | in use), start count, last LSN
//   DIR/postmaster.pid   written and locked by postmaster/, not by this file
//   DIR/base/main        the data file (storage/README.md: byte tables)
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/result.h"

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

  // Startup process (may take LWLocks): reads the catalog into the segment.
  static Status LoadCatalog();

  // The last process with the store in use (background writer at a shutdown, when all backends are
  // gone): stores counts, writes every dirty page, syncs, then marks the directory clean, in that
  // order.
  static Status CloseCleanly();
};

}  // namespace warren
