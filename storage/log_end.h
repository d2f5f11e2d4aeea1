// Where shall a restored log end?
//
// A restore to a point in time is a log that is cut off there: everything behind becomes zeros or
// is removed, so that no later start can take it for records, and the next start's redo does the
// rest.
//
// For a log that nobody uses, with WalSegments bound to its directory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/function_ref.h"
#include "base/ids.h"
#include "base/result.h"

namespace warren {

// At most one of them; none: as far as the log goes.
struct LogTarget {
  std::optional<Lsn> lsn;          // every record that ends there or before
  std::optional<int64_t> time_us;  // everything before the first mark that is later (wal_time.h)
};

struct LogEnd {
  Lsn end = 0;
  bool target_reached = false;            // the log goes on behind the target
  std::optional<int64_t> newest_time_us;  // of the marks before `end`
  uint32_t newest_start_count = 0;
  std::string reason;  // why the log ends, if it is not for the target
};

// Brings the segment to where WalSegments finds it; false: there is none.
using FetchSegment = FunctionRef<Result<bool>(uint64_t segment_no)>;

// Reads on from the record at `start`; `fetch` is asked for each segment behind those that are
// there.
Result<LogEnd> FindLogEnd(Lsn start, const LogTarget& target, FetchSegment fetch);

// Makes the log end at `end`, durably.
Status CutLog(Lsn end);

// Is this the beginning of a segment with that number? Its system id, or nothing.
struct SegmentIdentity {
  uint64_t system_id;
  uint32_t start_count;
};
std::optional<SegmentIdentity> IdentifySegment(std::span<const std::byte> beginning,
                                               uint64_t segment_no);

}  // namespace warren
