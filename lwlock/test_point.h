// Where, inside an acquire or release, can a test stop or kill a process?
//
// After each store to shared memory that the protocol makes. The points exist only in the variant
// of this library that tests/ builds with WARREN_LOCK_TEST_POINTS; everywhere else TestPoint() is
// empty.
#pragma once

#include <cstdint>

namespace warren {

#define WARREN_LOCK_TEST_POINTS_LIST(X) \
  X(kPendingSet)                        \
  X(kWordTaken)                         \
  X(kReaderBitSet)                      \
  X(kReaderBitCleared)                  \
  X(kWaiterFlagSet)                     \
  X(kBeforeWordSleep)                   \
  X(kSleptForWord)                      \
  X(kBeforeDrainSleep)                  \
  X(kSleptDraining)                     \
  X(kDrained)                           \
  X(kHeldEntered)                       \
  X(kAcquired)                          \
  X(kReleaseBegun)                      \
  X(kHeldMoved)                         \
  X(kHeldLeft)                          \
  X(kWordCleared)                       \
  X(kExclusiveWoken)                    \
  X(kSharedWoken)                       \
  X(kUnreserved)                        \
  X(kReleased)                          \
  X(kRepairReaderBitCleared)            \
  X(kRepairCalled)                      \
  X(kRepairWordCleared)                 \
  X(kRepairWoken)                       \
  X(kRepairHeldCleared)

enum class LockTestPoint : uint8_t {
#define WARREN_POINT(id) id,
  WARREN_LOCK_TEST_POINTS_LIST(WARREN_POINT)
#undef WARREN_POINT
};

#ifdef WARREN_LOCK_TEST_POINTS
// Called at each point by the process (or thread) that passes it, if set.
using LockTestHook = void (*)(LockTestPoint point);
inline thread_local LockTestHook t_lock_test_hook = nullptr;
inline void TestPoint(LockTestPoint point) {
  if (t_lock_test_hook != nullptr) t_lock_test_hook(point);
}
#else
inline void TestPoint(LockTestPoint) {}
#endif

}  // namespace warren
