// Is what many random clients see strictly serialisable, whatever happens to them?
#include <doctest/doctest.h>

#include "tests/isolation/history_run.h"
#include "tests/support/test_extent.h"

namespace warren::test {
namespace {

void Check(const std::vector<std::string>& settings, HistoryRun run) {
  const uint64_t seed = TestSeed();
  CAPTURE(seed);
  Server server(settings);
  for (int round = 0; round < (FullForm() ? 20 : 2); ++round) {
    CAPTURE(round);
    run.spread = round % 2 == 1;
    run.elements = round % 4 == 3 ? 1500 : 0;  // values of several pages
    const HistoryResult result = RunHistory(server, run, seed + static_cast<uint64_t>(round));
    CHECK_MESSAGE(result.clean(), result.text());
    CHECK_MESSAGE(result.committed > 100, result.text());
    MESSAGE(result.text());
  }
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
