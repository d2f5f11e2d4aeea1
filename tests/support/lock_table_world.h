// How does a test get processes that lock?
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "lwlock/repair.h"
#include "shmem/latch.h"
#include "shmem/lock_table.h"
#include "tests/support/actors.h"
#include "tests/support/segment_world.h"

namespace warren::test {

inline SegmentConfig LockingSegment(uint32_t lock_count = 1024) {
  SegmentConfig config = SmallSegment(16);
  config.max_connections = 40;
  config.lock_count = lock_count;
  return config;
}

// A segment whose creating process is running in slot 0. Complains at its end about what is not as
// it should be.
class LockTableWorld {
 public:
  explicit LockTableWorld(uint32_t lock_count = 1024) : segment_(LockingSegment(lock_count)) {
    RegisterLockTableRepairs();
    BecomeProcess(0);
  }
  ~LockTableWorld() {
    Require(LockTable::CheckInvariants());
    RegisterRepair(TrancheId::kLockPartition, nullptr);
    RegisterRepair(TrancheId::kDeadlock, nullptr);
  }
  LockTableWorld(const LockTableWorld&) = delete;
  LockTableWorld& operator=(const LockTableWorld&) = delete;

  // The calling process or thread gets the slot, under a new generation.
  static void BecomeProcess(SlotIndex slot) {
    (void)Segment::Procs().GiveOut(slot, ProcessKind::kBackend);
    Segment::BindProcess(slot);
    ProcArray::EnterRunning();
  }
  // A child that wakes for its latch.
  static void BecomeChild(SlotIndex slot) {
    BecomeProcess(slot);
    Latch::InstallHandlers();
  }
  static void LeaveProcess() {
    LockTable::ReleaseAll(LockScope::kTransaction);
    LockTable::ReleaseAll(LockScope::kSession);
    ProcArray::EnterExited();
    ProcArray::Self().life.store(ProcLife::kFree);
  }
  // What is done after a process in `slot` has been killed and reaped.
  static void Bury(SlotIndex slot) {
    Proc& proc = Segment::Procs()[slot];
    proc.life.store(ProcLife::kDead);
    Check(ReleaseLocksOfDead(Segment::Locks(), proc.locks, slot));
    LockTable::DropOwner({slot, proc.generation.load()});
    proc.life.store(ProcLife::kFree);
  }

  static void Require(const Status& status) {
    if (status.ok()) return;
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    std::abort();
  }
  static void Check(bool ok) {
    if (!ok) std::abort();
  }

 private:
  SegmentWorld segment_;
};

inline constexpr auto kGoOn = [] { return Status(); };

// Waits for ever, and looks for deadlocks every `deadlock_timeout_ms`: by default so seldom that
// nothing but a wake-up ends a wait in time.
inline LockWait Patient(int64_t deadlock_timeout_ms = 1'000'000) {
  return {
      .timeout_ms = 0, .deadlock_timeout_ms = deadlock_timeout_ms, .client_fd = -1, .attend = kGoOn};
}
inline LockWait ForAtMost(int64_t timeout_ms) {
  LockWait wait = Patient();
  wait.timeout_ms = timeout_ms;
  return wait;
}

inline bool TryLocked(const LockTag& tag, TxLockMode mode,
                      LockScope scope = LockScope::kTransaction) {
  const Result<bool> granted = LockTable::TryLock(tag, mode, scope);
  if (!granted.ok()) LockTableWorld::Require(granted.error());
  return *granted;
}

// How many wait, or how many of the slot.
inline size_t WaitingCount(SlotIndex slot = kNoSlot) {
  size_t count = 0;
  for (const LockTable::Info& info : LockTable::Snapshot()) {
    const bool counts = slot == kNoSlot || info.owner.slot == slot;
    if (counts && info.wanted != TxLockMode::kNone) ++count;
  }
  return count;
}
inline bool WaitUntilWaiting(size_t count) {
  return WaitFor([&] { return WaitingCount() == count; });
}

}  // namespace warren::test
