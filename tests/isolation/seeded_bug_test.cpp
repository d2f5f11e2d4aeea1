// Would these tests notice if a rule were broken?
//
// warren_seeded is the program with one of four bugs, which WARREN_SEEDED_BUG names. Each must be
// found by the history's checker or the bank within some rounds.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>

#include "tests/isolation/bank_run.h"
#include "tests/isolation/history_run.h"
#include "tests/isolation/test_extent.h"

namespace warren::test {
namespace {

class Seeded {
 public:
  explicit Seeded(const char* bug) {
    setenv("WARREN_TEST_PROGRAM", WARREN_SEEDED_BINARY, 1);
    setenv("WARREN_SEEDED_BUG", bug, 1);
  }
  ~Seeded() {
    unsetenv("WARREN_TEST_PROGRAM");
    unsetenv("WARREN_SEEDED_BUG");
  }
};

// Runs until something is found. What was found, or nothing.
std::string FoundIn(const char* bug, HistoryRun history) {
  const Seeded seeded(bug);
  Server server({"--deadlock_timeout", "10ms"});
  const uint64_t seed = TestSeed();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  history.faults.cuts = 0;
  for (uint64_t round = 0; std::chrono::steady_clock::now() < deadline; ++round) {
    const HistoryResult result = RunHistory(server, history, seed + round);
    if (!result.anomalies.empty()) return result.text();
    const BankResult bank = RunBank(server, {.duration = Milliseconds(300)}, seed + round);
    if (!bank.findings.empty()) return bank.text();
  }
  return {};
}

}  // namespace

TEST_CASE("a program without bugs has none when it is called seeded") {
  const Seeded seeded("none");
  Server server({"--deadlock_timeout", "10ms"});
  const HistoryResult result = RunHistory(server, {.duration = Milliseconds(500)}, TestSeed());
  CHECK_MESSAGE(result.clean(), result.text());
}

TEST_CASE("single-key writers that do not look at locks are found") {
  CHECK(FoundIn("no_write_look", {.duration = Milliseconds(300)}) != "");
}

TEST_CASE("readers that do not wait for a commit that is being made are found") {
  CHECK(FoundIn("no_read_look", {.duration = Milliseconds(500), .spread = true}) != "");
}

TEST_CASE("writers that let the leaf go and do not look again are found") {
  CHECK(FoundIn("no_second_look", {.duration = Milliseconds(500), .elements = 3000}) != "");
}

TEST_CASE("reads before the lock is granted are found") {
  CHECK(FoundIn("read_before_grant", {.duration = Milliseconds(300)}) != "");
}

}  // namespace warren::test
