// Is everything in its place while clients are at work?
//
// Looks only at what holds at every moment for whoever has the pages in question locked, so that no
// change under way looks like a fault:
//
//   a page in the file    its checksum, and its LSN lies before the durable end of the log; one
//   that
//                         does not fit is read again, and in the end with its buffer locked
//   a node                itself (README.md, invariant 1), its range, its state in the map
//   node and right        locked together, left first: the right one is no deleted page, and begins
//   neighbour             where the left one ends; the parent has an entry for it unless the left
//                         one says that it has none yet
//   a chain               within the operation that found its cell, as a reader would
//   a map page            its hint and its count; each pending page, locked before the map page
//   log and control file  positions in order; every record from the redo point to the durable end
//   shared memory         the invariants of each structure (segment_check.h)
//
// What needs a store at rest (each page used once, counts of keys) is checked by StoreChecker
// instead, when nothing was inserted into the log from its beginning to its end.
//
// Locking: shared locks on at most three pages and a map page, in the order of pages. One Operation
// per few nodes.
#pragma once

#include <string>
#include <vector>

#include "base/function_ref.h"
#include "base/ids.h"
#include "base/result.h"
#include "shmem/buffer_cache.h"
#include "storage/fault_list.h"
#include "storage/operation.h"

namespace warren {

struct LiveReport {
  FaultList faults;
  std::vector<std::string> notes;  // worth knowing and no fault
  bool complete = false;           // the store was at rest, so that everything could be checked
  uint64_t pages = 0;              // read from the file
  uint64_t keys = 0;               // seen
  Lsn log_from = 0;                // the log was read from here
  Lsn log_to = 0;                  // to here
};

// By a process with nothing locked. `keep_going` is asked now and then, with nothing locked.
// Errors: kBusy, kShutdown (told to stop), kIo.
Result<LiveReport> CheckRunningStore(FunctionRef<bool()> keep_going);

}  // namespace warren
