#include "shmem/crowd_trial.h"

#include <doctest/doctest.h>

namespace warren::test {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

// Clients that send so many requests a second in all, depending on how they are waited for.
class Crowd {
 public:
  Crowd(int64_t yielding, int64_t sleeping) { Change(yielding, sleeping); }
  void Change(int64_t yielding, int64_t sleeping) {
    yielding_ns_ = kSecondNs / yielding;
    sleeping_ns_ = kSecondNs / sleeping;
  }
  void Pause(int64_t ns) { now_ns_ += ns; }

  // Which share of the time do the processes yield?
  double Yields(int64_t ns) {
    int64_t yielded_ns = 0;
    const int64_t began_ns = now_ns_;
    while (now_ns_ < began_ns + ns) {
      const bool yields = trial_.Yields(now_ns_, [this] { return requests_; });
      const int64_t took_ns = yields ? yielding_ns_ : sleeping_ns_;
      yielded_ns += yields ? took_ns : 0;
      now_ns_ += took_ns;
      ++requests_;
    }
    return static_cast<double>(yielded_ns) / static_cast<double>(now_ns_ - began_ns);
  }

 private:
  CrowdTrial trial_{};
  int64_t now_ns_ = kSecondNs;
  uint64_t requests_ = 0;
  int64_t yielding_ns_ = 0, sleeping_ns_ = 0;
};

}  // namespace

TEST_CASE("a crowd yields from the beginning, and tries to sleep ever more rarely") {
  Crowd crowd(100'000, 60'000);
  CHECK(crowd.Yields(200'000'000) == 1.0);
  CHECK(crowd.Yields(20 * kSecondNs) > 0.95);
  CHECK(crowd.Yields(20 * kSecondNs) > 0.97);
}

TEST_CASE("a crowd sleeps where all together are served faster then") {
  Crowd crowd(6'000, 50'000);
  crowd.Yields(kSecondNs / 2);
  CHECK(crowd.Yields(20 * kSecondNs) < 0.05);
}

TEST_CASE("a crowd notices within seconds that the other way has become faster") {
  Crowd crowd(100'000, 60'000);
  crowd.Yields(20 * kSecondNs);
  crowd.Change(6'000, 50'000);
  crowd.Yields(5 * kSecondNs);
  CHECK(crowd.Yields(10 * kSecondNs) < 0.1);
  crowd.Change(100'000, 60'000);
  crowd.Yields(5 * kSecondNs);
  CHECK(crowd.Yields(10 * kSecondNs) > 0.9);
}

TEST_CASE("a crowd changes nothing for a difference that is none") {
  CHECK(Crowd(100'000, 105'000).Yields(20 * kSecondNs) > 0.95);
}

TEST_CASE("a load that grows or ends speaks for no way") {
  for (const int64_t change_percent : {+10, -10}) {
    CAPTURE(change_percent);
    int64_t rate = change_percent > 0 ? 10'000 : 500'000;
    Crowd crowd(rate, rate);
    for (int i = 0; i < 50; ++i) {
      crowd.Yields(10'000'000);
      // From the end of the first pause on.
      if (i >= 25) rate += rate * change_percent / 100;
      crowd.Change(rate, rate);
    }
    CHECK(crowd.Yields(kSecondNs / 10) == 1.0);
  }
}

TEST_CASE("what is measured while the crowd comes and goes decides nothing") {
  for (int64_t together_ms = 20; together_ms <= 300; together_ms += 10) {
    CAPTURE(together_ms);
    Crowd crowd(100'000, 60'000);
    double yields = 0;
    for (int i = 0; i < 50; ++i) {
      yields += crowd.Yields(together_ms * 1'000'000);
      crowd.Pause(kSecondNs);
    }
    CHECK(yields / 50 > 0.9);
  }
}

}  // namespace warren::test
