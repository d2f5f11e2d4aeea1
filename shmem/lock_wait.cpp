#include "shmem/lock_wait.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <limits>

#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "shmem/latch.h"
#include "shmem/lock_deadlock.h"
#include "shmem/segment.h"
#include "shmem/stats.h"

namespace warren {
namespace {

// How many deadlock_timeouts lie between two looks of one waiter at most.
constexpr int64_t kRarestSearch = 16;
constexpr int64_t kNeverUs = std::numeric_limits<int64_t>::max();

int64_t After(int64_t begin_us, int64_t ms) {
  return ms > (kNeverUs - begin_us) / 1000 ? kNeverUs : begin_us + ms * 1000;
}

class Wait {
 public:
  Wait(const LockWaiter& waiter, LockOwner& slot, const LockWait& options)
      : waiter_(waiter),
        slot_(slot),
        options_(options),
        entry_(EntryAt(waiter.entry)),
        begin_us_(MonotonicUs()),
        deadline_us_(options.timeout_ms > 0 ? After(begin_us_, options.timeout_ms) : kNeverUs),
        search_every_ms_(std::max<int64_t>(options.deadlock_timeout_ms, 1)),
        search_us_(After(begin_us_, search_every_ms_)) {}

  ~Wait() {
    if (!over_) (void)GiveUp(/*keep_grant=*/false);  // something was thrown
    slot_.waits_on.store(0);
    Stats::Add(StatId::kLockWaits);
    Stats::Add(StatId::kLockWaitUs, static_cast<uint64_t>(MonotonicUs() - begin_us_));
  }
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  Status Run() {
    Status status = Loop();
    over_ = true;
    return status;
  }

 private:
  Status Loop() {
    const ScopedWait shown(WaitEvent::kLock);
    for (;;) {
      // Before the looks: what happens after them sets it again.
      Latch::TakeLatch();
      if (Status status = options_.attend(); !status.ok()) {
        (void)GiveUp(/*keep_grant=*/false);
        return status;
      }
      if (Granted()) return {};
      if (IsVictim(slot_)) return EndAsVictim();
      const int64_t now_us = MonotonicUs();
      if (now_us >= deadline_us_) return EndByTimeout();
      if (now_us >= search_us_) {
        LookForDeadlocks();
        continue;
      }
      const int64_t expiry_us = TakeExpired();
      if (Granted()) return {};
      RETURN_IF_ERROR(Sleep(now_us, expiry_us));
    }
  }

  // The search that matters is the first one of whoever closes a circle; the later ones are for
  // searchers and victims that died or were stopped, so they may become rare.
  void LookForDeadlocks() {
    const int64_t last_us = FindDeadlocks(begin_us_, search_every_ms_);
    if (search_every_ms_ < kRarestSearch * options_.deadlock_timeout_ms) search_every_ms_ *= 2;
    search_us_ = After(last_us, search_every_ms_);
  }

  // Without the lock: as long as it waits, nobody takes the entry away.
  bool Granted() const { return !entry_.State().waits(); }

  // Takes the wish back, unless it was granted meanwhile and that is welcome. Was it?
  bool GiveUp(bool keep_grant) {
    FAULT_POINT(kLockGiveUp);
    const ExclusiveLock lock(PartitionLock(waiter_.place.partition()));
    if (Granted() && keep_grant) return true;
    if (waiter_.before == TxLockMode::kNone) {
      RemoveEntry(waiter_.place, waiter_.entry);
    } else {
      entry_.expiry_us = waiter_.expiry_before_us;
      SetState(waiter_.place, entry_, {waiter_.before, TxLockMode::kNone});
    }
    // It kept those behind it out by waiting, or by what it had just got.
    GrantWaiters(waiter_.place, waiter_.tag);
    return false;
  }

  Status EndByTimeout() {
    if (GiveUp(/*keep_grant=*/true)) return {};
    Stats::Add(StatId::kLockTimeouts);
    return MakeError(ErrorCode::kLockTimeout, "waited {} ms for {}", options_.timeout_ms,
                     DescribeTag(waiter_.tag));
  }

  Status EndAsVictim() {
    // Copied first: the next wait lets the finder write another one.
    const std::string cycle(slot_.cycle);
    if (GiveUp(/*keep_grant=*/true)) return {};
    Stats::Add(StatId::kDeadlocks);
    log::Notice("deadlock: {}", cycle);
    return MakeError(ErrorCode::kDeadlock, "{}", cycle);
  }

  // Takes away grants whose time has come. When is the next one due? kNeverUs: none will be.
  int64_t TakeExpired() {
    if (waiter_.tag.kind != LockKind::kAdvisory) return kNeverUs;
    const int64_t now_us = WallClockUs();
    if (const int64_t next_us = NextExpiryOfOthers(); next_us == 0 || next_us > now_us) {
      return next_us == 0 ? kNeverUs : MonotonicUs() + next_us - now_us;
    }
    const ExclusiveLock lock(PartitionLock(waiter_.place.partition()));
    if (RemoveExpired(waiter_.place, waiter_.tag, waiter_.self, now_us)) {
      GrantWaiters(waiter_.place, waiter_.tag);
    }
    return MonotonicUs();  // look again at once
  }

  int64_t NextExpiryOfOthers() const {
    const SharedLock lock(PartitionLock(waiter_.place.partition()));
    return NextExpiry(waiter_.place, waiter_.tag, waiter_.self);
  }

  Status Sleep(int64_t now_us, int64_t expiry_us) {
    const int64_t until_us = std::min({deadline_us_, search_us_, expiry_us});
    pollfd client{.fd = options_.client_fd, .events = POLLRDHUP, .revents = 0};
    const int ready =
        Latch::Poll({&client, 1}, (std::max(until_us - now_us, int64_t{0}) + 999) / 1000);
    if (ready <= 0 || client.revents == 0) return {};
    (void)GiveUp(/*keep_grant=*/false);
    return MakeError(ErrorCode::kShutdown, "the client has gone");
  }

  const LockWaiter& waiter_;
  LockOwner& slot_;
  const LockWait& options_;
  LockEntry& entry_;
  const int64_t begin_us_;
  const int64_t deadline_us_;
  int64_t search_every_ms_;
  int64_t search_us_;  // when to look for deadlocks next
  bool over_ = false;
};

}  // namespace

void BeginLockWait(LockOwner& slot, EntryIndex entry, uint64_t age) {
  if (age != 0) slot.age.store(age, std::memory_order_relaxed);
  slot.wait_number.store(slot.wait_number.load(std::memory_order_relaxed) + 1,
                         std::memory_order_release);
  slot.waits_on.store(entry + 1, std::memory_order_release);
}

Status AwaitGrant(const LockWaiter& waiter, LockOwner& slot, const LockWait& wait) {
  return Wait(waiter, slot, wait).Run();
}

}  // namespace warren
