// Is a sum that never changes ever seen changed?
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/isolation/bank_run.h"
#include "tests/support/test_extent.h"

namespace warren::test {
namespace {

constexpr uint64_t kEnough = 20;  // for each round, of transfers and of counts

void Check(const std::vector<std::string>& settings, const BankRun& run) {
  const uint64_t seed = TestSeed();
  CAPTURE(seed);
  Server server(settings);
  const uint64_t rounds = FullForm() ? 20 : 1;
  uint64_t transfers = 0;
  uint64_t counts = 0;
  const auto run_bank = [&](uint64_t round) {
    CAPTURE(round);
    const BankResult result = RunBank(server, run, seed + round);
    CHECK_MESSAGE(result.clean(), result.text());
    transfers += result.transfers;
    counts += result.counts;
    MESSAGE(result.text());
  };
  CHECK(
      RunRounds(rounds, run_bank, [&] { return std::min(transfers, counts) > rounds * kEnough; }));
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
