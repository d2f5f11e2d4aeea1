// Which changes were made by a given time?
//
// A time mark is a small record that goes into the log before a change, when none went before for
// kTimeMarkEveryUs. An idle server writes none. With marks at times t1 < t2 in the log:
//
//   whatever was acknowledged by t2 lies before the second mark, unless the clock was set back;
//   whatever lies behind the first mark and before the second began before t1 + kTimeMarkEveryUs.
//
// So a log that is cut off before the first mark later than T holds everything that was
// acknowledged by T, and nothing that began more than kTimeMarkEveryUs after T. A checkpoint record
// counts as a mark.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "storage/wal_reader.h"

namespace warren {

struct TimeMark {
  int64_t wall_clock_us;
};

inline constexpr int64_t kTimeMarkEveryUs = 100'000;

// Before a change is made. kNoSpace, kIo: of the log; nothing happened.
Status MarkTimeIfDue();

// Fills what is left of the present segment with marks that are as long as that takes, so that it
// can be archived. Does nothing when nothing but its start is in it. kNoSpace, kIo: of the log.
Status FillSegment();

// The time that a record bears, if it bears one.
std::optional<int64_t> TimeOf(const WalRecord& record);

}  // namespace warren
