#include "backend/spin_trial.h"

#include <doctest/doctest.h>

namespace warren::test {
namespace {

// A client whose next request takes so long.
class Client {
 public:
  Client(int64_t spinning_ns, int64_t sleeping_ns)
      : spinning_ns_(spinning_ns), sleeping_ns_(sleeping_ns) {}
  void Change(int64_t spinning_ns, int64_t sleeping_ns) {
    spinning_ns_ = spinning_ns;
    sleeping_ns_ = sleeping_ns;
  }

  // In how many of so many waits does its process spin?
  int Spins(int waits) {
    int spins = 0;
    for (int i = 0; i < waits; ++i) {
      const bool spin = trial_.Spins(now_ns_);
      spins += spin ? 1 : 0;
      now_ns_ += spin ? spinning_ns_ : sleeping_ns_;
    }
    return spins;
  }

 private:
  SpinTrial trial_;
  int64_t now_ns_ = 1;
  int64_t spinning_ns_, sleeping_ns_;
};

}  // namespace

TEST_CASE("spinning is kept where it is faster, and sleeping tried ever more rarely") {
  Client client(30'000, 60'000);
  CHECK(client.Spins(100'000) > 99'600);
  CHECK(client.Spins(100'000) > 99'700);
}

TEST_CASE("sleeping is taken where it is faster") {
  Client client(30'000, 15'000);
  client.Spins(1200);
  CHECK(client.Spins(100'000) < 400);
}

TEST_CASE("the other way is noticed to have become faster") {
  Client client(30'000, 15'000);
  client.Spins(100'000);
  client.Change(30'000, 60'000);
  client.Spins(40'000);
  CHECK(client.Spins(10'000) > 9'800);
  client.Change(30'000, 15'000);
  client.Spins(40'000);
  CHECK(client.Spins(10'000) < 200);
}

TEST_CASE("no way is changed for a difference that is none, or a client that takes its time") {
  CHECK(Client(30'000, 28'000).Spins(100'000) > 99'600);
  CHECK(Client(5'000'000, 4'000'000).Spins(100'000) > 99'600);
}

}  // namespace warren::test
