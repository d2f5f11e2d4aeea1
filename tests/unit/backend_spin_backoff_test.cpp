#include "backend/spin_backoff.h"

#include <doctest/doctest.h>

namespace warren::test {
namespace {

// How many waits it does not spin after it has lost the processor now.
uint32_t RestAfterLoss(SpinBackoff& backoff) {
  backoff.NoteLook(SpinBackoff::kPreemptedNs);
  uint32_t rest = 0;
  while (!backoff.MaySpin()) ++rest;
  return rest;
}

void SpinUndisturbed(SpinBackoff& backoff, uint32_t times) {
  for (uint32_t i = 0; i < times; ++i) {
    backoff.NoteLook(SpinBackoff::kPreemptedNs / 2);
    backoff.NoteSpin();
  }
}

}  // namespace

TEST_CASE("spinning goes on while no look takes long") {
  SpinBackoff backoff;
  for (int i = 0; i < 10'000; ++i) {
    REQUIRE(backoff.MaySpin());
    SpinUndisturbed(backoff, 1);
  }
}

TEST_CASE("each loss of the processor makes for a rest twice as long, up to a limit") {
  SpinBackoff backoff;
  for (uint32_t rest = SpinBackoff::kShortestRest; rest < SpinBackoff::kLongestRest; rest *= 2) {
    CHECK(RestAfterLoss(backoff) == rest);
    SpinUndisturbed(backoff, SpinBackoff::kForgetAfter - 1);
  }
  CHECK(RestAfterLoss(backoff) == SpinBackoff::kLongestRest);
  CHECK(RestAfterLoss(backoff) == SpinBackoff::kLongestRest);
}

TEST_CASE("losses are forgotten after many undisturbed spins") {
  SpinBackoff backoff;
  CHECK(RestAfterLoss(backoff) == SpinBackoff::kShortestRest);
  SpinUndisturbed(backoff, SpinBackoff::kForgetAfter);
  CHECK(RestAfterLoss(backoff) == SpinBackoff::kShortestRest);
}

}  // namespace warren::test
