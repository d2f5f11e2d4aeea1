#include "storage/storage_failure.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/ordered_store.h"
#include "shmem/segment.h"

namespace warren {
namespace {

void Declare(std::atomic<int32_t>& failure, int error_number) {
  StoreAfter(failure, error_number == 0 ? EIO : error_number);
  const pid_t postmaster = Segment::Server().postmaster_pid.load();
  if (postmaster != 0 && postmaster != getpid()) kill(postmaster, SIGURG);
}

}  // namespace

void DeclareLogFailed(int error_number) { Declare(Segment::Wal().failure, error_number); }

void DeclareDataFileFailed(int error_number) { Declare(Segment::Wal().data_failure, error_number); }

bool StorageHasFailed() {
  const WalState& state = Segment::Wal();
  return state.failure.load(std::memory_order_relaxed) != 0 ||
         state.data_failure.load(std::memory_order_relaxed) != 0;
}

Error StorageFailure() {
  const WalState& state = Segment::Wal();
  const int log_error = state.failure.load();
  if (log_error != 0) {
    return MakeError(ErrorCode::kIo,
                     "write-ahead log: it could not be written ({}), no change is accepted until "
                     "the server has started over",
                     std::strerror(log_error));
  }
  return MakeError(ErrorCode::kIo,
                   "data file \"base/main\": it could not be synced ({}), no change is accepted "
                   "until the server has started over and redone it from the log",
                   std::strerror(state.data_failure.load()));
}

}  // namespace warren
