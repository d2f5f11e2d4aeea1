// Who wants vacuum to go through everything, and until when does it sleep?
//
// A request is a number, as in checkpoint_requests.h: vacuum notes the newest one before it begins
// and stores that number when it is done. Every field is one atomic store; a death anywhere leaves
// a request that the next vacuum process serves.
#pragma once

#include <atomic>
#include <cstdint>

namespace warren {

struct VacuumState {
  std::atomic<uint64_t> requested;  // fetch_add by whoever wants one
  // WallClockMs up to which vacuum sleeps because it knows of nothing to do before; 0: it looks
  // again soon. Stored by vacuum; set to 0 by the one writer that wakes it because of an earlier
  // expiry.
  std::atomic<int64_t> sleeps_until_ms;
  // -- By vacuum.
  std::atomic<uint64_t> vacuum;  // its PackedOwner, to be woken
  std::atomic<uint64_t> done;    // requests up to this one are served
  std::atomic<uint64_t> failed;  // requests up to this one ended with an error (see the log)
};

}  // namespace warren
