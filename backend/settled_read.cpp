#include "backend/settled_read.h"

#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "lwlock/lwlock.h"
#include "shmem/latch.h"
#include "storage/commit.h"

namespace warren {
namespace {

// A commit of a few keys is over after a turn or two of the processor.
constexpr int kYields = 4;
constexpr int64_t kPauseMs = 1;
// How often it is tried without a lock before the next try is made with one...
constexpr int kFreeTries = 8;
// ...and how long that one may queue: its request keeps every writer that comes later waiting, and
// whoever it waits for may think for long.
constexpr int64_t kQueueMs = 100;

// The pauses of one read.
class CommitPause {
 public:
  explicit CommitPause(const LockWait& wait) : wait_(wait) {}

  // kLockTimeout, kShutdown: no more.
  Status Take() {
    if (++pauses_ <= kYields) {
      sched_yield();
      return {};
    }
    if (started_us_ == 0) started_us_ = MonotonicUs();
    if (wait_.timeout_ms != 0 && MonotonicUs() - started_us_ > wait_.timeout_ms * 1000) {
      return MakeError(ErrorCode::kLockTimeout,
                       "a commit of another client was being made for longer than lock_timeout");
    }
    return Sleep();
  }

 private:
  Status Sleep() const {
    pollfd client{.fd = wait_.client_fd, .events = POLLRDHUP, .revents = 0};
    const ScopedWait shown(WaitEvent::kLock);
    if (Latch::Poll({&client, 1}, kPauseMs) < 0 || Latch::Pending()) return wait_.attend();
    if (client.revents != 0) return MakeError(ErrorCode::kShutdown, "the client has gone");
    return {};
  }

  const LockWait& wait_;
  int pauses_ = 0;
  int64_t started_us_ = 0;
};

bool IsConflict(const Status& status) {
  return !status.ok() && status.error().code == ErrorCode::kConflict;
}

// One call between two stamps. kConflict: it has to be done again.
Status TryUndivided(uint32_t database, FunctionRef<Status()> read) {
  const Error again{ErrorCode::kConflict, {}};
  const CommitStamp before = ReadCommitStamp(database);
  if (!before.settled()) return again;
  RETURN_IF_ERROR(read());
  if (ReadCommitStamp(database) != before) return again;
  return {};
}

// Given back whatever becomes of the read.
struct ReadLock {
  LockTag tag;
  ~ReadLock() { LockTable::Unlock(tag); }
};

// One call while nobody may write.
Status TryLocked(const LockWait& wait, uint32_t database, FunctionRef<Status()> read) {
  LockWait queue = wait;
  queue.timeout_ms = wait.timeout_ms == 0 ? kQueueMs : std::min(wait.timeout_ms, kQueueMs);
  const LockTag tag = DatabaseTag(database);
  Status locked = LockTable::Lock(tag, TxLockMode::kS, LockScope::kSession, queue);
  if (!locked.ok()) {
    const ErrorCode code = locked.error().code;
    // In a circle with somebody's wait only this one gives way: nothing is lost by it.
    const bool in_vain = code == ErrorCode::kLockTimeout || code == ErrorCode::kDeadlock;
    if (in_vain) return Error{ErrorCode::kConflict, {}};
    return locked;
  }
  const ReadLock held{tag};
  return read();
}

}  // namespace

Result<bool> ReadSettled(const LockWait& wait, uint32_t database, std::string_view key,
                         int64_t now_ms, NeedValue need,
                         FunctionRef<void(const Current&, uint64_t value_bytes)> read) {
  CommitPause pause(wait);
  for (;;) {
    Result<bool> found = Store::Read(database, key, now_ms, need, read);
    if (found.ok() || found.error().code != ErrorCode::kConflict) return found;
    RETURN_IF_ERROR(pause.Take());
  }
}

Status ReadUndivided(const LockWait& wait, uint32_t database, FunctionRef<Status()> read) {
  CommitPause pause(wait);
  for (int tries = 1;; ++tries) {
    Status status =
        tries % kFreeTries == 0 ? TryLocked(wait, database, read) : TryUndivided(database, read);
    if (!IsConflict(status)) return status;
    RETURN_IF_ERROR(pause.Take());
  }
}

}  // namespace warren
