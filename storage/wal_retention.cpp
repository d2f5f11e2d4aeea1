#include "storage/wal_retention.h"

#include <algorithm>

#include "conf/settings.h"
#include "shmem/segment.h"
#include "storage/wal_format.h"

namespace warren {

uint64_t OldestSegmentNeeded(Lsn log_begin, uint64_t keep_segments) {
  const uint64_t first_segment = SegmentOf(log_begin);
  uint64_t oldest = first_segment > keep_segments ? first_segment - keep_segments : 0;
  oldest = std::min(oldest, SegmentOf(Segment::Procs().OldestWalHold(log_begin)));
  if (!GetSettings().wal_archive_directory.empty()) {
    oldest = std::min(oldest, Segment::Wal().archived_before.load());
  }
  return oldest;
}

}  // namespace warren
