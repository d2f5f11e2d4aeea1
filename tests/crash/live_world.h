// How is a client killed in the middle of something while others work beside it, and what must be
// true afterwards?
//
// A strike: the victim connects, its keys are set up, a Killer takes hold of its backend, the
// operation is sent and the backend led to the place where it is to die; there it is held up until
// whoever comes to wait for it does so and is counted; then it is killed. Then its client connects
// again, its keys must be as before the operation or as after it (after, if the replies had come),
// the bank's sum is as ever, and nobody else was disconnected.
//
// An auxiliary process is struck in a round that a client waits for, or in one that it makes by
// itself. Nobody is disconnected, the client neither: the successor makes the round.
//
// All on one thread, but for the neighbours.
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/crash/live_neighbour.h"
#include "tests/crash/live_operation.h"
#include "tests/server/server_fixture.h"

struct redisReader;

namespace warren::test {

// By what means a backend is led to its death.
class Killer {
 public:
  virtual ~Killer() = default;
  // Before the operation is sent.
  virtual void Take(pid_t backend, LiveClock& clock) = 0;
  // True: it stands where it is to die. False: `ended` became true first.
  virtual bool Lead(const std::function<bool()>& ended, LiveClock& clock) = 0;
  virtual void Kill() = 0;
  // It came to its end and lives on.
  virtual void LetGo() = 0;
};

class LiveWorld {
 public:
  LiveWorld();
  ~LiveWorld();

  // Runs the operation undisturbed, which shows what it does. Counts as control run for stalls.
  void Learn(const LiveOperation& operation, Killer* killer = nullptr);
  // False: it came to its end before it could be killed.
  bool Strike(const LiveOperation& operation, Killer& killer, const std::string& where);
  void LearnRound(const LiveRound& round, Killer& killer);
  bool StrikeInRound(const LiveRound& round, Killer& killer, const std::string& where);
  // The neighbours end, and everything that must be true then is checked.
  void CheckEnd();
  // What is said of the run. `places` says what the deaths were sampled from.
  void Report(const std::string& places);

  Server& server() { return *server_; }
  int kills() const { return kills_ + auxiliary_kills_; }
  // Kills at which somebody slept until the victim was dead and repaired.
  int waited_for() const { return waited_for_; }
  // Nobody waited for longer than 2 s, besides what the machine makes its clients wait anyway.
  void CheckStalls();
  // All the server's own checks.
  void CheckStore();
  void Checkpoint() { (void)witness_("BGSAVE"); }

 private:
  struct Known {
    std::string before, after;
  };

  void Fill();
  void ConnectVictim();
  void Prepare(const LiveOperation& operation);
  void Send(const LiveOperation& operation);
  bool AllReplies();
  bool LeadToDeath(Killer& killer, const std::function<bool()>& ended);
  std::function<bool()> EndOf(const LiveRound& round);
  std::string Look();
  int CountSleepers();
  void CheckAfter(const LiveOperation& operation, bool replied, const std::string& where);
  void CheckBank();
  std::string WarningsInLog() const;

  std::unique_ptr<Server> server_;
  LiveClock clock_;
  Connection witness_, victim_;
  pid_t victim_pid_ = 0;
  std::array<std::unique_ptr<Neighbour>, 3> neighbours_;
  std::map<std::string_view, Known> known_;
  std::vector<LiveWords> sent_;
  struct FreeReader {
    void operator()(redisReader* reader) const;
  };
  std::unique_ptr<redisReader, FreeReader> replies_read_;  // of the victim, as they come
  size_t replies_ = 0;
  int kills_ = 0, auxiliary_kills_ = 0, waited_for_ = 0, ended_first_ = 0;
  int64_t waiters_ = 0;
  std::vector<double> control_ms_, stalls_ms_, reconnects_ms_;
};

}  // namespace warren::test
