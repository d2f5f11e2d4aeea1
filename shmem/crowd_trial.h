// Is a crowd of backends served faster if each yields before it sleeps, or if it just sleeps?
//
// Where the processors are the server's and its clients', a yield lets requests and replies gather.
// Where another program wants a processor all the time, a yield hands it over for as long as the
// scheduler pleases: beside two such programs ten clients whose processes yield got an eighth of
// what they got from processes that sleep. One process alone can't find out which it is: who sleeps
// among others that yield is served first, at the cost of all. So all do the same at a time, and
// what counts is how many requests all of them receive. Now and then all try the other way; a trial
// in vain makes the next one rarer.
//
// It lies in shared memory, all zero at first, and whoever finds a phase over ends it. Who dies
// then, or is overtaken after kClaimNs, leaves some stage behind: at worst one trial compares
// wrongly, and the next one mends that.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace warren {

class CrowdTrial {
 public:
  static constexpr int64_t kSettlingNs = 20'000'000;  // of a trial, which say nothing yet
  static constexpr int64_t kMeasuredNs = 60'000'000;  // a thousand clients send a few requests each
  static constexpr int64_t kShortestPauseNs = 250'000'000;
  static constexpr int64_t kLongestPauseNs = 4'000'000'000;
  static constexpr int64_t kClaimNs = 20'000'000;

  // At the beginning of each wait in a crowd, with the monotonic time. `requests()` tells how many
  // all have received so far; it is asked only at the end of a phase.
  template <typename Requests>
  bool Yields(int64_t now_ns, Requests requests) {
    int64_t end_ns = phase_end_ns_.load(std::memory_order_relaxed);
    if (now_ns >= end_ns && phase_end_ns_.compare_exchange_strong(end_ns, now_ns + kClaimNs,
                                                                  std::memory_order_relaxed)) {
      const bool crowd_was_gone = now_ns - end_ns > kMeasuredNs;
      const int64_t lasts_ns = crowd_was_gone ? Pause() : NextPhase(now_ns, requests());
      phase_end_ns_.store(now_ns + lasts_ns, std::memory_order_relaxed);
    }
    const Stage stage = stage_.load(std::memory_order_relaxed);
    const bool trying = stage == Stage::kSettling || stage == Stage::kMeasuringOther;
    return sleeps_.load(std::memory_order_relaxed) == trying;
  }

 private:
  // The way in force is measured before and after the other one: a load that grows or ends
  // meanwhile must not speak for either.
  enum class Stage : uint32_t {
    kPause,
    kMeasuringBefore,
    kSettling,
    kMeasuringOther,
    kSettlingBack,
    kMeasuringAfter,
  };

  // These begin a phase and return how long it lasts.
  int64_t NextPhase(int64_t now_ns, uint64_t requests) {
    switch (stage_.load(std::memory_order_relaxed)) {
      case Stage::kPause:
        return Measure(Stage::kMeasuringBefore, now_ns, requests);
      case Stage::kMeasuringBefore:
        rate_before_.store(Rate(now_ns, requests), std::memory_order_relaxed);
        return Settle(Stage::kSettling);
      case Stage::kSettling:
        return Measure(Stage::kMeasuringOther, now_ns, requests);
      case Stage::kMeasuringOther:
        rate_of_other_.store(Rate(now_ns, requests), std::memory_order_relaxed);
        return Settle(Stage::kSettlingBack);
      case Stage::kSettlingBack:
        return Measure(Stage::kMeasuringAfter, now_ns, requests);
      case Stage::kMeasuringAfter:
        Decide(Rate(now_ns, requests));
        break;
    }
    return Pause();
  }

  int64_t Settle(Stage stage) {
    stage_.store(stage, std::memory_order_relaxed);
    return kSettlingNs;
  }

  int64_t Measure(Stage stage, int64_t now_ns, uint64_t requests) {
    began_ns_.store(now_ns, std::memory_order_relaxed);
    requests_before_.store(requests, std::memory_order_relaxed);
    stage_.store(stage, std::memory_order_relaxed);
    return kMeasuredNs;
  }

  int64_t Pause() {
    stage_.store(Stage::kPause, std::memory_order_relaxed);
    return kShortestPauseNs << vain_trials_.load(std::memory_order_relaxed);
  }

  // Requests in a second since the phase began.
  uint64_t Rate(int64_t now_ns, uint64_t requests) const {
    const int64_t took_ns = now_ns - began_ns_.load(std::memory_order_relaxed);
    return (requests - requests_before_.load(std::memory_order_relaxed)) * 1'000'000'000 /
           static_cast<uint64_t>(std::max<int64_t>(took_ns, 1));
  }

  void Decide(uint64_t rate_after) {
    const uint64_t rate = std::max(rate_before_.load(std::memory_order_relaxed), rate_after);
    const bool better = rate_of_other_.load(std::memory_order_relaxed) * 10 > rate * 11;
    if (better) sleeps_.store(!sleeps_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    const uint32_t vain = vain_trials_.load(std::memory_order_relaxed);
    vain_trials_.store(better ? 0 : std::min(vain + 1, kMostVainTrials), std::memory_order_relaxed);
  }

  static constexpr uint32_t kMostVainTrials = 4;
  static_assert(kShortestPauseNs << kMostVainTrials == kLongestPauseNs);

  std::atomic<int64_t> phase_end_ns_;
  std::atomic<Stage> stage_;
  std::atomic<bool> sleeps_;  // the way in force
  std::atomic<uint32_t> vain_trials_;
  std::atomic<int64_t> began_ns_;
  std::atomic<uint64_t> requests_before_;
  std::atomic<uint64_t> rate_before_;  // of the way in force
  std::atomic<uint64_t> rate_of_other_;
};

}  // namespace warren
