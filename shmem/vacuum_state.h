// Who wants vacuum to go through everything, and until when does it sleep?
#pragma once

#include <atomic>
#include <cstdint>

#include "shmem/work_requests.h"

namespace warren {

struct VacuumState {
  WorkRequests requests;
  // WallClockMs up to which vacuum sleeps because it knows of nothing to do before; 0: it looks
  // again soon. Stored by vacuum; set to 0 by the one writer that wakes it because of an earlier
  // expiry.
  std::atomic<int64_t> sleeps_until_ms;
};

}  // namespace warren
