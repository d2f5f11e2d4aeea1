// Does every acknowledged write outlive kill -9, and nothing half applied with it?
//
// Twenty clients write; at a random moment all processes are killed, or one of them, or the server
// once more while it recovers. WARREN_TEST_SEED repeats a run as far as the scheduler lets it,
// WARREN_TEST_ROUNDS sets its length.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <random>

#include <poll.h>

#include "doctest/doctest.h"
#include "tests/crash/torture_client.h"
#include "tests/support/test_extent.h"

namespace warren::test {
namespace {

constexpr int kClients = 20;

int RoundCount() {
  const char* given = std::getenv("WARREN_TEST_ROUNDS");
  return given != nullptr ? std::atoi(given) : FullForm() ? 200 : 20;
}

class Torture {
 public:
  explicit Torture(uint64_t seed) : random_(seed) {
    for (int i = 0; i < kClients; ++i) {
      clients_.push_back(std::make_unique<TortureClient>(i, seed));
    }
  }

  void Round() {
    std::atomic<bool> stop = false;
    std::vector<std::future<std::string>> work;
    for (const auto& client : clients_) {
      work.push_back(std::async(std::launch::async, [&] { return client->Work(server_, stop); }));
    }
    Pass(random_() % 700);
    if (random_() % 3 == 0) server_.Command("BGSAVE");
    Pass(random_() % 100);
    const uint64_t kind = random_() % 10;
    // Not twice in a row: a server that has to start over again and again gives up.
    one_killed_ = kind < 3 && !one_killed_;
    if (one_killed_) {
      KillOneChild();
    } else {
      KillAll();
    }
    stop = true;
    for (auto& done : work) Expect(done.get());
    if (kind >= 8) KillWhileItRecovers();
    if (!server_.running()) CheckDirectory();
    if (!server_.running()) server_.Start();
    REQUIRE_MESSAGE(server_.WaitReady(), server_.log());
    VerifyAll();
  }

  // A clean end and a start that has nothing to recover.
  void RestartCleanly() {
    CHECK(server_.Stop() == 0);
    CheckDirectory();
    server_.Start();
    VerifyAll();
  }

  uint64_t acknowledged_writes() const {
    uint64_t sum = 0;
    for (const auto& client : clients_) sum += client->acknowledged_writes();
    return sum;
  }
  const Server& server() const { return server_; }

 private:
  // The moment is what is random here: nothing is waited for.
  static void Pass(uint64_t milliseconds) { poll(nullptr, 0, static_cast<int>(milliseconds)); }

  static void Expect(const std::string& failure) { CHECK_MESSAGE(failure.empty(), failure); }

  // As the next start would leave it.
  void CheckDirectory() {
    const ProgramResult checked = RunWarren({"check", server_.directory()});
    CHECK_MESSAGE(checked.exit_code == 0, checked.output);
  }

  // Postmaster and children in any order, so that some outlive others by moments.
  void KillAll() {
    std::vector<pid_t> pids = ChildrenOf(server_.pid());
    pids.push_back(server_.pid());
    std::shuffle(pids.begin(), pids.end(), random_);
    for (const pid_t pid : pids) kill(pid, SIGKILL);
    server_.Kill();
    for (const pid_t pid : pids) CHECK(WaitUntil([&] { return !ProcessExists(pid); }));
  }

  void KillOneChild() {
    const std::vector<pid_t> pids = ChildrenOf(server_.pid());
    if (!pids.empty()) kill(pids[random_() % pids.size()], SIGKILL);
  }

  void KillWhileItRecovers() {
    for (int i = 0; i < 2; ++i) {
      server_.Launch();
      Pass(random_() % 120);
      KillAll();
    }
  }

  uint64_t ReadSharedCounters() {
    uint64_t sum = 0;
    CHECK(WaitUntil([&] {
      sum = 0;
      Connection connection = server_.Connect();
      for (int i = 0; i < kSharedCounters; ++i) {
        const Reply reply = connection("GET", SharedCounter(i));
        if (reply.closed()) return false;
        sum += std::strtoull(reply.text.c_str(), nullptr, 10);
      }
      return true;
    }));
    return sum;
  }

  void VerifyAll() {
    for (const auto& client : clients_) Expect(client->Verify(server_));
    uint64_t least = settled_increments_, most = settled_increments_;
    for (const auto& client : clients_) {
      least += client->acknowledged_increments();
      most += client->acknowledged_increments() + client->open_increments();
    }
    const uint64_t found = ReadSharedCounters();
    CHECK(found >= least);
    CHECK(found <= most);
    // Those without a reply that were made after all count as settled from now on.
    settled_increments_ += found - least;
  }

  std::mt19937_64 random_;
  Server server_{{"--shared_buffers", "2mb", "--max_wal_size", "64mb", "--checkpoint_timeout", "1s",
                  "--checkpoint_completion_target", "5", "--bgwriter_delay", "10ms"}};
  std::vector<std::unique_ptr<TortureClient>> clients_;
  uint64_t settled_increments_ = 0;  // made, but never acknowledged
  bool one_killed_ = false;          // in the last round
};

}  // namespace

TEST_CASE("no acknowledged write is lost and none is half applied, whenever processes are killed") {
  const uint64_t seed = TestSeed();
  CAPTURE(seed);
  Torture torture(seed);
  const int rounds = RoundCount();
  for (int round = 1; round <= rounds; ++round) {
    CAPTURE(round);
    torture.Round();
    if (round % 10 == 0) torture.RestartCleanly();
  }
  std::printf("seed %llu: %d rounds, %llu acknowledged writes\n",
              static_cast<unsigned long long>(seed), rounds,
              static_cast<unsigned long long>(torture.acknowledged_writes()));
  if (rounds >= 10) CHECK(torture.server().LogContains("checkpoint (", Milliseconds{0}));
}

}  // namespace warren::test
