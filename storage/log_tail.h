// Does the log end here because nothing more was written, or because something was damaged?
//
// A log always ends at bytes that are no valid record. After a power failure valid ones may follow
// them: what was not synced yet reaches the disk in any order, sector by sector. So valid records
// behind the end prove damage only where no lost sector could have made that end:
//   1. the end and a later valid record lie in the same sector, which is written as a whole; or
//   2. the segment was new (its rest is still zero) and begun by the server run that wrote both the
//      last record and the later one, and no sector of the gap is empty as a lost one would be.
// Otherwise they are worth a note.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace warren {

struct LogTail {
  enum Kind : uint8_t { kOrdinary, kDoubtful, kDamaged } kind = kOrdinary;
  Lsn next_record = 0;  // valid and behind the end; 0: there is none in its segment
};

// `end` is where reading stopped after a record of run `start_count`. WalSegments is bound.
Result<LogTail> JudgeLogTail(Lsn end, uint32_t start_count);

}  // namespace warren
