// Does a client that is alone get on faster if its process spins, or if it sleeps?
//
// On a machine with idle processors waking one is what takes longest, and spinning spares half of
// it. Where other programs keep the processors busy, a process that sleeps is woken on its client's
// processor and takes over from it at once, and one that spins is waited for from afar. Nothing
// says beforehand which it is, and it changes; so now and then the other way is tried for a few
// waits, and taken if requests come faster. Each failure makes the next trial twice as rare.
#pragma once

#include <algorithm>
#include <cstdint>

namespace warren {

class SpinTrial {
 public:
  static constexpr uint32_t kSettling = 8;          // waits of a trial whose time says nothing yet
  static constexpr uint32_t kMeasured = 32;         // waits that are compared with as many
  static constexpr uint32_t kShortestPause = 1024;  // waits between two trials
  static constexpr uint32_t kLongestPause = 16'384;
  // From one wait to the next at most so much is counted: what takes longer is not what differs.
  static constexpr int64_t kMostNs = 100'000;

  // At the beginning of each wait, with the time.
  bool Spins(int64_t now_ns) {
    const int64_t took_ns = std::min(now_ns - last_ns_, kMostNs);
    last_ns_ = now_ns;
    const uint32_t length = trying_ ? kSettling + kMeasured : pause_;
    if (waits_ + kMeasured >= length) sum_ns_ += took_ns;
    if (++waits_ > length) EndPhase();
    return spins_ != trying_;
  }

 private:
  void EndPhase() {
    if (trying_) {
      const bool better = sum_ns_ * 10 < former_sum_ns_ * 9;
      if (better) spins_ = !spins_;
      pause_ = better ? kShortestPause : std::min(2 * pause_, kLongestPause);
    }
    former_sum_ns_ = sum_ns_;
    trying_ = !trying_;
    sum_ns_ = 0;
    waits_ = 0;
  }

  bool spins_ = true;  // the way in force
  bool trying_ = false;
  uint32_t pause_ = kShortestPause;
  uint32_t waits_ = 0;  // of this phase
  int64_t last_ns_ = 0;
  int64_t sum_ns_ = 0;         // of the last kMeasured waits of this phase
  int64_t former_sum_ns_ = 0;  // of the phase before
};

}  // namespace warren
