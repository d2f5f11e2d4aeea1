// Is what many random clients see strictly serialisable, whatever happens to them?
#include <doctest/doctest.h>

#include "tests/isolation/history_run.h"
#include "tests/support/test_extent.h"

namespace warren::test {
namespace {

constexpr uint64_t kEnough = 100;  // committed in each round

void Check(const std::vector<std::string>& settings, HistoryRun run) {
  const uint64_t seed = TestSeed();
  CAPTURE(seed);
  Server server(settings);
  const uint64_t rounds = FullForm() ? 20 : 2;
  uint64_t committed = 0;
  const auto run_history = [&](uint64_t round) {
    CAPTURE(round);
    run.spread = round % 2 == 1;
    run.elements = round % 4 == 3 ? 1500 : 0;  // values of several pages
    const HistoryResult result = RunHistory(server, run, seed + round);
    CHECK_MESSAGE(result.clean(), result.text());
    committed += result.committed;
    MESSAGE(result.text());
  };
  CHECK(RunRounds(rounds, run_history, [&] { return committed > rounds * kEnough; }));
}

}  // namespace

TEST_CASE("random transactions are strictly serialisable") {
  Check({"--deadlock_timeout", "10ms"}, {});
}

TEST_CASE("random transactions are strictly serialisable while locks time out and clients die") {
  Check({"--deadlock_timeout", "20ms", "--lock_timeout", "10ms"},
        {.clients = 12, .faults = {.cuts = 10, .kill_clients = true}});
}

TEST_CASE("random transactions are strictly serialisable while backends are killed") {
  Check({"--deadlock_timeout", "10ms"}, {.faults = {.kill_backends = true}});
}

}  // namespace warren::test
