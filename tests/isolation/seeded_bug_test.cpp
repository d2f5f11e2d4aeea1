// Would these tests notice if a rule were broken?
//
// warren_seeded is the program with one of four bugs, which WARREN_SEEDED_BUG names. Each must be
// found by the history's checker or the bank within some rounds, or (the narrowest of them) by a
// reader who looks for it.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <string>
#include <vector>

#include "tests/isolation/bank_run.h"
#include "tests/isolation/history_run.h"
#include "tests/support/test_extent.h"

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

// One client sets many keys at once, again and again; another reads the first, then the last. Did
// he see a change, and afterwards not see one that was made with it?
bool SeesHalf(Server& server, std::chrono::milliseconds duration) {
  constexpr int kKeys = 200;
  std::atomic<bool> stop = false;
  auto writer = std::async(std::launch::async, [&] {
    Connection connection = server.Connect();
    for (int value = 1; !stop; ++value) {
      std::vector<std::string> words{"MSET"};
      for (int i = 0; i < kKeys; ++i) {
        words.push_back("k" + std::to_string(1000 + i));
        words.push_back(std::string(200, ' ') + std::to_string(value));
      }
      connection.Send(words);
    }
  });
  Connection reader = server.Connect();
  bool half = false;
  const auto deadline = std::chrono::steady_clock::now() + duration;
  while (!half && std::chrono::steady_clock::now() < deadline) {
    const int first = std::atoi(reader("GET", "k1000").text.c_str());
    half = std::atoi(reader("GET", "k" + std::to_string(999 + kKeys)).text.c_str()) < first;
  }
  stop = true;
  writer.get();
  return half;
}

// One client appends to a long value, for which the leaf has to be let go; another reads it twice
// in a transaction. Did he see two lengths?
bool SeesChange(Server& server, std::chrono::milliseconds duration) {
  server.Command("SET", "long", std::string(200'000, '.'));
  std::atomic<bool> stop = false;
  auto writer = std::async(std::launch::async, [&] {
    Connection connection = server.Connect();
    while (!stop) connection("APPEND", "long", ".");
  });
  Connection reader = server.Connect();
  bool changed = false;
  const auto deadline = std::chrono::steady_clock::now() + duration;
  while (!changed && std::chrono::steady_clock::now() < deadline) {
    reader("BEGIN");
    const int64_t before = reader("STRLEN", "long").integer;
    for (int i = 0; i < 20 && !changed; ++i) changed = reader("STRLEN", "long").integer != before;
    reader("COMMIT");
  }
  stop = true;
  writer.get();
  return changed;
}

}  // namespace

TEST_CASE("a program without bugs has none when it is called seeded") {
  const Seeded seeded("none");
  Server server({"--deadlock_timeout", "10ms"});
  const HistoryResult result = RunHistory(server, {.duration = Milliseconds(500)}, TestSeed());
  CHECK_MESSAGE(result.clean(), result.text());
  CHECK_FALSE(SeesHalf(server, std::chrono::seconds(1)));
  CHECK_FALSE(SeesChange(server, std::chrono::seconds(1)));
}

TEST_CASE("single-key writers that do not look at locks are found") {
  CHECK(FoundIn("no_write_look", {.duration = Milliseconds(300)}) != "");
}

TEST_CASE("readers that do not wait for a commit that is being made are found") {
  const Seeded seeded("no_read_look");
  Server server;
  CHECK(SeesHalf(server, std::chrono::seconds(60)));
}

TEST_CASE("writers that let the leaf go and do not look again are found") {
  const Seeded seeded("no_second_look");
  Server server;
  CHECK(SeesChange(server, std::chrono::seconds(60)));
}

TEST_CASE("reads before the lock is granted are found") {
  CHECK(FoundIn("read_before_grant", {.duration = Milliseconds(300)}) != "");
}

}  // namespace warren::test
