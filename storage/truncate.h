// When does the data file get shorter?
//
// README.md, "The file's end", says what holds while it does. Pages are not moved: only what is
// free at the end goes, each map page's group with a record of its own.
//
// Locking: DataFileLock from before the record to behind the sync, the map page's lock from the
// look at it until the end has moved; nothing may be held, and no Operation of the caller be
// running.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/result.h"

namespace warren {

// Makes the file follow a cut whose record is in the log, and which the one who made it did not
// survive. With DataFileLock: by all who are about to change the file's length or to begin a
// checkpoint. An error is a failure of the data file.
Status FinishCut();

// What is left of the free pages at the end.
enum class EndSlack : uint8_t {
  kNone,
  kOneChunk,  // as much as the file would grow by; it is not worth a cut before there is as much
              // again
};

// How many pages CutFreeEnd would take just now.
Result<PageNo> FreeEndPages(EndSlack slack);

// Cuts the file's free end off, durably; returns how many pages it had. An error behind the record
// is a failure of the data file (storage_failure.h): redo makes the cut.
Result<PageNo> CutFreeEnd(EndSlack slack);

}  // namespace warren
