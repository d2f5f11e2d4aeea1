// What does a backup read from a store that goes on changing?
//
//   1. HoldLog, then a checkpoint that is asked for afterwards, then Begin: the backup starts where
//      redo would begin now;
//   2. ReadPages, all pages that the file has, once;
//   3. Stop: the log up to here makes one whole of pages read at different moments;
//   4. ReadLog, from the segment of the log's begin on to the stop;
//   5. ReleaseLog, or the end of the process.
//
// Why torn and mixed pages are good enough: every change before the start was in the file when
// Begin returned; the first change of each page after it carries the whole page or makes it anew,
// whatever later checkpoints do; so redo from the start never builds on a page's bytes as they were
// read, unless nothing changed the page, and then it can't be torn. A page that is beyond the
// file's end when its turn comes was cut off after the start, and the log says so.
//
// State is the process's own: one backup at a time in each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace warren {

struct BackupStart {
  Lsn start = 0;
  Lsn log_begin = 0;  // redo from the start needs the log from here on
  PageNo page_count = 0;
  uint64_t system_id = 0;
  uint64_t start_count = 0;  // of the server run
  uint32_t databases = 0;
};

class BackupSource {
 public:
  // Log from the present redo point on stays from now on.
  static void HoldLog();
  static Result<BackupStart> Begin();

  // Fills `bytes` with pages from `first` on; how many there are. Pages whose checksum does not fit
  // are read again for a while; those for which it never did are named.
  static Result<PageNo> ReadPages(PageNo first, std::span<std::byte> bytes,
                                  std::vector<PageNo>* damaged);

  // Everything up to the result is durable, and the pages read so far need the log up to there.
  static Result<Lsn> Stop();

  // Fills the front of `bytes` from the log at `from`: up to the segment's end or the stop.
  static Result<size_t> ReadLog(Lsn from, std::span<std::byte> bytes);

  static void ReleaseLog();

  enum class Phase : uint8_t { kNone, kHeld, kReading, kStopped };
  static Phase phase();
};

}  // namespace warren
