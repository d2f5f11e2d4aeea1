// How did a child end, and what may it have left behind?
#pragma once

#include <cstdint>
#include <string>

namespace warren {

enum class DeathClass : uint8_t {
  kOrderly,  // exit 0: the session or the task ended
  // Died between two instructions of correct code (non-zero exit, SIGKILL, SIGTERM and other
  // signals sent from outside): damage is bounded by what its slot and its locks say it held.
  kBounded,
  // A failed check, heap corruption, a wild access (SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, ...):
  // it may have written anywhere before.
  kWild,
};

// Of a status from waitpid whose process is gone (exited or killed).
DeathClass ClassifyDeath(int wait_status);

// "exited with code 1", "killed by signal 9 (SIGKILL)", "stopped by signal 19 (SIGSTOP)".
std::string DescribeWaitStatus(int wait_status);

}  // namespace warren
