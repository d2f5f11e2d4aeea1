// Who wants a checkpoint, and which ones are done?
#pragma once

#include <atomic>
#include <cstdint>

#include "shmem/work_requests.h"

namespace warren {

struct CheckpointRequests {
  WorkRequests requests;
  // -- By the checkpointer.
  std::atomic<uint32_t> running;
  std::atomic<int64_t>
      last_done_us;             // WallClockUs of the last complete one, or of the server's start
  std::atomic<uint64_t> timed;  // begun because of checkpoint_timeout
  std::atomic<uint64_t> sized;  // because of max_wal_size
  std::atomic<uint64_t> after_redo;  // because redo at the start was long
  std::atomic<uint64_t> asked;       // because of a request
  std::atomic<uint64_t> completed;
  std::atomic<uint32_t> last_failed;       // 1: the last one ended with an error
  std::atomic<int64_t> begun_us;           // WallClockUs of the one under way or the last one
  std::atomic<int64_t> last_duration_us;   // of the last complete one; 0: there was none
  std::atomic<uint64_t> changes_at_begin;  // Stats: mini_transactions, at the last complete one
};

}  // namespace warren
