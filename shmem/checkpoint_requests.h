// Who wants a checkpoint, and which ones are done?
//
// A request is a number; the checkpointer notes the newest one before it begins and stores that
// number when it is done, so one checkpoint serves all who asked before it began. Every field is
// one atomic store; a death anywhere leaves a request that the next round serves.
#pragma once

#include <atomic>
#include <cstdint>

namespace warren {

struct CheckpointRequests {
  std::atomic<uint64_t> requested;  // fetch_add by whoever wants one
  // -- By the checkpointer.
  std::atomic<uint64_t> checkpointer;  // its PackedOwner, to be woken
  std::atomic<uint64_t> done;          // requests up to this one are served
  std::atomic<uint64_t> failed;        // requests up to this one ended with an error (see the log)
  std::atomic<uint32_t> running;
  std::atomic<int64_t>
      last_done_us;             // WallClockUs of the last complete one, or of the server's start
  std::atomic<uint64_t> timed;  // begun because of checkpoint_timeout
  std::atomic<uint64_t> sized;  // because of max_wal_size
  std::atomic<uint64_t> asked;  // because of a request
  std::atomic<uint64_t> completed;
  std::atomic<uint32_t> last_failed;       // 1: the last one ended with an error
  std::atomic<int64_t> begun_us;           // WallClockUs of the one under way or the last one
  std::atomic<int64_t> last_duration_us;   // of the last complete one; 0: there was none
  std::atomic<uint64_t> changes_at_begin;  // Stats: mini_transactions, at the last complete one
};

}  // namespace warren
