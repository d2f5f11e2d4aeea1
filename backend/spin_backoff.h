// When does a process that could spin better not?
//
// One that loses its processor while it looks again and again has learned that others want it. It
// spends what the scheduler would grant it on looking, and then its client waits for a whole turn
// of the others; one that sleeps is given the processor when its client's request comes. So after
// each such loss it sleeps for a number of waits, twice as many each time, up to a limit. Many
// undisturbed spins make it forget.
#pragma once

#include <algorithm>
#include <cstdint>

namespace warren {

class SpinBackoff {
 public:
  static constexpr uint32_t kShortestRest = 256;
  static constexpr uint32_t kLongestRest = 8192;
  static constexpr uint32_t kForgetAfter = 4096;
  // A look takes microseconds, and the turn of another process several milliseconds.
  static constexpr int64_t kPreemptedNs = 250'000;

  // Once before each wait.
  bool MaySpin() {
    if (rest_ == 0) return true;
    --rest_;
    return false;
  }

  // So long did one look take.
  void NoteLook(int64_t ns) {
    if (ns < kPreemptedNs) return;
    rest_ = next_rest_;
    next_rest_ = std::min(2 * next_rest_, kLongestRest);
    undisturbed_ = 0;
  }

  // A spin has ended, whatever came of it.
  void NoteSpin() {
    if (++undisturbed_ >= kForgetAfter) next_rest_ = kShortestRest;
  }

 private:
  uint32_t rest_ = 0;  // waits
  uint32_t next_rest_ = kShortestRest;
  uint32_t undisturbed_ = 0;  // spins since the last loss
};

}  // namespace warren
