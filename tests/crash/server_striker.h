// Who strikes the server's processes while others use it?
//
// Several times a second one of the postmaster's children gets SIGKILL, SIGTERM or SIGSTOP; who was
// stopped is continued or killed a moment later. The moments are what is random: nothing is waited
// for. Most processes sleep at most moments; so some strikes are fault points, for whoever comes to
// one next (the server needs fault_points).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "tests/server/server_fixture.h"

namespace warren::test {

struct StrikerCounts {
  uint64_t kills = 0, terms = 0, stops = 0;
  uint64_t auxiliaries = 0;  // of all of these: not backends
  uint64_t points = 0;       // at fault points, if anybody came there
  std::string text() const;
};

class Striker {
 public:
  Striker(const Server& server, uint64_t seed);
  // Nobody stays stopped.
  ~Striker() { EndStops(/*all=*/true); }

  void StrikeFor(Milliseconds duration);
  const StrikerCounts& counts() const { return counts_; }

 private:
  struct Stopped {
    pid_t pid;
    std::chrono::steady_clock::time_point until;
    bool killed;
  };

  void Strike();
  void StrikeAtPoint();
  Reply Ask(const std::vector<std::string>& words);
  void SpareNewMonitor(std::vector<pid_t>& pids);
  pid_t Choose();
  void EndStops(bool all);

  const Server& server_;
  std::mt19937_64 random_;
  Connection connection_;  // whose backend may be struck, too
  std::vector<std::string> points_;
  std::deque<Stopped> stopped_;
  pid_t monitor_ = 0;
  std::chrono::steady_clock::time_point monitor_spared_until_;
  StrikerCounts counts_;
};

}  // namespace warren::test
