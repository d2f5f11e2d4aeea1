// How does a server come up again after a crash that may have damaged shared memory?
//
// PostgreSQL's way: every process is gone; what the log's ring still holds is written to its files;
// the segment is made as new; redo does the rest. The listening sockets stay open meanwhile, so
// that new clients wait instead of being refused.
#pragma once

#include <cstdint>
#include <deque>

#include "base/result.h"
#include "conf/settings.h"

namespace warren {

// Fills a new (or reset) segment with what only the postmaster knows.
void FurnishSegment(const Settings& settings);

// Every child has been reaped. Afterwards everything is as before the first start of the startup
// process, which then recovers the data.
Status PrepareCrashRestart(const Settings& settings);

// Against restarting for ever: a crash that comes back with the same data or the same client.
class RestartBreaker {
 public:
  static constexpr size_t kMost = 5;
  static constexpr int64_t kWithinMs = 60'000;

  // False: there have been too many.
  bool MayRestart(int64_t now_ms);

 private:
  std::deque<int64_t> restarts_ms_;
};

}  // namespace warren
