// How does a session ask another process for a piece of work, and learn that it was done?
//
// A request is a number; the worker notes the newest one before it begins and stores that number
// when it is done, so one piece of work serves all who asked before it began. Every field is one
// atomic store; a death anywhere leaves a request that the next round serves.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace warren {

struct WorkRequests {
  std::atomic<uint64_t> requested;  // fetch_add by whoever wants it
  // -- By the worker.
  std::atomic<uint64_t> worker;  // its PackedOwner, to be woken
  std::atomic<uint64_t> done;    // requests up to this one are served
  std::atomic<uint64_t> failed;  // requests up to this one ended with an error (see the log)

  bool Outstanding() const { return requested.load() > std::max(done.load(), failed.load()); }
};

}  // namespace warren
