// Is a sum that never changes ever seen changed?
#include <doctest/doctest.h>

#include "tests/isolation/bank_run.h"
#include "tests/support/test_extent.h"

namespace warren::test {
namespace {

void Check(const std::vector<std::string>& settings, const BankRun& run) {
  const uint64_t seed = TestSeed();
  CAPTURE(seed);
  Server server(settings);
  for (int round = 0; round < (FullForm() ? 20 : 1); ++round) {
    CAPTURE(round);
    const BankResult result = RunBank(server, run, seed + static_cast<uint64_t>(round));
    CHECK_MESSAGE(result.clean(), result.text());
    CHECK_MESSAGE(result.counts > 20, result.text());
    CHECK_MESSAGE(result.transfers > 20, result.text());
    MESSAGE(result.text());
  }
}

}  // namespace

TEST_CASE("the bank's sum is the same for everybody who counts at one moment") {
  Check({"--deadlock_timeout", "10ms"}, {});
}

TEST_CASE("the bank's sum stays the same while locks time out and clients die") {
  Check({"--deadlock_timeout", "20ms", "--lock_timeout", "10ms"},
        {.clients = 12, .faults = {.cuts = 10, .kill_clients = true}});
}

TEST_CASE("the bank's sum stays the same while backends are killed") {
  Check({"--deadlock_timeout", "10ms"}, {.faults = {.kill_backends = true}});
}

}  // namespace warren::test
