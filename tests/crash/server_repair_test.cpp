// Does kill -9 of backends and auxiliary processes, many times a second and under load, cost
// anybody but their own clients anything?
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"
#include "tests/support/test_extent.h"

namespace warren::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWitnesses = 4;
constexpr int kVictims = 8;
constexpr int kKeysEach = 200;

// The keys of one client, and what they must hold.
class Journal {
 public:
  Journal(int number, bool may_lose_connection)
      : random_(static_cast<unsigned>(number)),
        number_(number),
        may_lose_connection_(may_lose_connection) {}

  // Writes until stopped; again on a new connection if this one may be killed. `pid` says whom to
  // kill meanwhile. What went wrong, or nothing.
  std::string Work(const Server& server, const std::atomic<bool>& stop, std::atomic<pid_t>& pid) {
    while (!stop) {
      Connection connection = server.Connect();
      pid = Server::BackendOf(connection);
      while (!stop && Write(connection)) {
      }
      pid = 0;
      if (!error_.empty()) return error_;
      if (!stop && !may_lose_connection_) return "a client that nobody killed lost its connection";
    }
    return {};
  }

  // What is wrong with the server's idea of the keys, or nothing.
  std::string Verify(Connection& connection) const {
    for (const auto& [key, value] : acknowledged_) {
      const Reply reply = connection("GET", key);
      const std::string found = reply.nil() ? "" : reply.text;
      const auto open = open_.find(key);
      const bool may_be = open != open_.end() && std::ranges::count(open->second, found) > 0;
      if (found != value && !may_be) {
        return key + " holds \"" + found.substr(0, 30) + "\", not \"" + value.substr(0, 30) + '"';
      }
    }
    return {};
  }

  uint64_t increments() const { return increments_; }
  uint64_t open_increments() const { return open_increments_; }
  std::vector<double>& waits_ms() { return waits_ms_; }

 private:
  // False: the connection is gone.
  bool Write(Connection& connection) {
    const std::string key =
        "client" + std::to_string(number_) + ":" + std::to_string(random_() % kKeysEach);
    const auto kind = random_() % 8;
    const auto began = Clock::now();
    Reply reply;
    if (kind == 0) {
      reply = connection("INCR", "shared");
      if (!reply.closed()) ++increments_;
      if (reply.closed()) ++open_increments_;
    } else {
      constexpr size_t kSizes[] = {5, 50, 200, 1000, 6000};
      const std::string value =
          kind == 1 ? "" : std::to_string(++sequence_) + std::string(kSizes[random_() % 5], 'v');
      reply = kind == 1 ? connection("DEL", key) : connection("SET", key, value);
      if (reply.closed()) {
        open_[key].push_back(value);
      } else {
        acknowledged_[key] = value;
        open_.erase(key);
      }
    }
    if (reply.is_error()) error_ = reply.text;
    const std::chrono::duration<double, std::milli> took = Clock::now() - began;
    waits_ms_.push_back(took.count());
    return !reply.closed() && error_.empty();
  }

  std::mt19937 random_;
  int number_;
  bool may_lose_connection_;
  uint64_t sequence_ = 0;
  std::map<std::string, std::string> acknowledged_;
  std::map<std::string, std::vector<std::string>> open_;  // sent since then, no reply came
  uint64_t increments_ = 0, open_increments_ = 0;
  std::vector<double> waits_ms_;
  std::string error_;
};

int64_t StatOf(Connection& connection, const std::string& name) {
  const Reply reply = connection("STATS", name);
  return reply.elements.size() == 2 ? reply.elements[1].integer : -1;
}

// Kills one of the victims' backends, or now and then an auxiliary process.
void KillOne(const Server& server, std::mt19937& random, std::vector<std::atomic<pid_t>>& pids) {
  if (random() % 20 == 0) {
    std::vector<pid_t> auxiliaries;
    for (const pid_t pid : ChildrenOf(server.pid())) {
      if (CommandLineOf(pid).find("backend") == std::string::npos) auxiliaries.push_back(pid);
    }
    if (!auxiliaries.empty()) kill(auxiliaries[random() % auxiliaries.size()], SIGKILL);
    return;
  }
  if (const pid_t pid = pids[kWitnesses + random() % kVictims].exchange(0); pid > 0) {
    kill(pid, SIGKILL);
  }
}

double Percentile(std::vector<double>& values, double part) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[static_cast<size_t>(part * double(values.size() - 1))];
}

}  // namespace

TEST_CASE("backends killed at random under load are repaired in place and nobody else notices") {
  Server server({"--crash_breaker_deaths", "0", "--shared_buffers", "1MB"});
  std::vector<Journal> journals;
  for (int i = 0; i < kWitnesses + kVictims; ++i) journals.emplace_back(i, i >= kWitnesses);
  std::vector<std::atomic<pid_t>> pids(journals.size());
  std::atomic<bool> stop = false;
  std::vector<std::future<std::string>> work;
  for (size_t i = 0; i < journals.size(); ++i) {
    work.push_back(
        std::async(std::launch::async, [&, i] { return journals[i].Work(server, stop, pids[i]); }));
  }
  Connection witness = server.Connect();
  std::mt19937 random(std::random_device{}());
  const auto until = Clock::now() + std::chrono::seconds(FullForm() ? 60 : 8);
  while (Clock::now() < until) {
    KillOne(server, random, pids);
    CHECK(witness("PING").text == "PONG");
    // Deaths come at their own times, whatever the clients are doing.
    poll(nullptr, 0, static_cast<int>(random() % 20));
  }
  stop = true;
  for (auto& result : work) CHECK(result.get() == "");

  CHECK(WaitUntil([&] {
    return StatOf(witness, "repairs") ==
           StatOf(witness, "deaths_backend") + StatOf(witness, "deaths_auxiliary");
  }));
  CHECK(StatOf(witness, "full_restarts") == 0);
  CHECK(StatOf(witness, "repairs_in_place") > 0);
  CHECK(StatOf(witness, "lwlock_timeouts_on_free_lock") == 0);
  CHECK(server.log().find("stopping all processes") == std::string::npos);
  uint64_t least = 0, most = 0;
  std::vector<double> waits_ms;
  for (Journal& journal : journals) {
    CHECK(journal.Verify(witness) == "");
    least += journal.increments();
    most += journal.increments() + journal.open_increments();
  }
  for (int i = 0; i < kWitnesses; ++i) {
    const auto& waits = journals[static_cast<size_t>(i)].waits_ms();
    waits_ms.insert(waits_ms.end(), waits.begin(), waits.end());
  }
  const uint64_t shared = std::stoull("0" + witness("GET", "shared").text);
  CHECK(shared >= least);
  CHECK(shared <= most);
  const Reply checked = witness("CHECK");
  REQUIRE(checked.elements.size() > 1);
  CHECK(checked.elements[1].elements.empty());  // faults
  MESSAGE(StatOf(witness, "repairs"), " deaths, ", StatOf(witness, "repairs_in_place"),
          " of them in the middle of something; the others' waits: median ",
          Percentile(waits_ms, 0.5), " ms, 99th percentile ", Percentile(waits_ms, 0.99),
          " ms, longest ", Percentile(waits_ms, 1), " ms");

  // The next start finds the same without the shutdown's help.
  server.Kill();
  server.Start();
  Connection after = server.Connect();
  for (const Journal& journal : journals) CHECK(journal.Verify(after) == "");
  CHECK(server.Stop() == 0);
}

TEST_CASE(
    "strict containment stops all processes after a kill, and trusting repairs a wild death") {
  Server server({"--crash_containment", "strict"});
  Connection victim = server.Connect();
  Connection other = server.Connect();
  CHECK(other("SET", "key", "value").ok());
  REQUIRE(kill(Server::BackendOf(victim), SIGKILL) == 0);
  CHECK(other.ClosedByServer());
  REQUIRE(server.WaitReady());
  CHECK(server.Command("GET", "key").text == "value");
  CHECK(server.Command("CONFIG", "SET", "crash_containment", "trusting").ok());
  Connection wild = server.Connect();
  Connection witness = server.Connect();
  REQUIRE(kill(Server::BackendOf(wild), SIGSEGV) == 0);
  CHECK(wild.ClosedByServer());
  CHECK(WaitUntil([&] { return StatOf(witness, "repairs") >= 1; }));
  CHECK(witness("GET", "key").text == "value");
  CHECK(server.Stop() == 0);
}

}  // namespace warren::test
