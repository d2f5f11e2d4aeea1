// Is everything as it should be after the repair of one death? In a child of its own for each.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lwlock/lwlock.h"
#include "tests/crash/file_image.h"
#include "tests/crash/sweep.h"

namespace warren::test {

inline constexpr SlotIndex kDeadSlot = 1;
inline constexpr SlotIndex kOtherSlot = 2;  // of a second process, in operations that need one

// What is stored under each key, in whichever database, whether its time has come or not.
using Content = std::map<std::string, std::string>;
Content ReadContent();

// Which of the two the content is, at a point.
enum class Seen : uint8_t { kBefore, kAfter, kMixture };

// What the child tells its parent. In shared memory.
struct PointOutcome {
  TouchLog touched;
  Seen seen;
  bool with_locks, taken_back, finished, commit_finished, restarted;
  char failure[1024];
};

// What is known of the operation.
struct PointCase {
  std::string directory;
  const Operation* operation = nullptr;
  Content before, after;
  std::set<LWLock*> locks;     // that the process has had, or tried to get
  std::vector<int> signalled;  // whom it had sent a signal up to the point
  bool restart = false;        // look at what a start from the files finds, too
};

// In the child: the segment and the files are as the death has left them. Fills in the outcome.
void LookAtPoint(const PointCase& point, PointOutcome& outcome);

// For a child that only reads: notes what it touches of files. Those that were dead before the
// operation are repaired, for they may keep it from reading.
void BeginReading(const std::string& directory, TouchLog* touched);

}  // namespace warren::test
