// What do the clients do that work beside one who is killed, and what do they notice of it?
//
// Each is a thread with a connection of its own, which nobody may ever close. All work on the
// leaf that the victim's keys are in, and so on its log; the clerk also on the victim's name in the
// lock table. Each knows what its keys must hold and looks.
//
// A stall is how long a command took; of one under way when somebody was killed, what it took from
// the kill on. While a victim is held up at the place of its death (LiveClock::Pause), commands
// that come to their end are not counted.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/server_fixture.h"

namespace warren::test {

inline constexpr int kLiveAccounts = 6;
inline constexpr int64_t kLiveSum = 100 * kLiveAccounts;
inline constexpr const char* kLiveLock = "live:name";        // of a lock
inline constexpr const char* kLiveCounter = "live:counter";  // that the clerk increments
std::string LiveAccount(int i);

// When was the last one killed, or is one held up at present?
class LiveClock {
 public:
  static int64_t NowNs();
  void Pause() { paused_ = true; }
  void Kill() {
    killed_ns_ = NowNs();
    paused_ = false;
  }
  bool paused() const { return paused_; }
  int64_t killed_ns() const { return killed_ns_; }

 private:
  std::atomic<bool> paused_ = false;
  std::atomic<int64_t> killed_ns_ = 0;
};

class Neighbour {
 public:
  enum Kind { kBank, kWriter, kClerk };  // transfers; SET, APPEND, DEL; LOCK, INCR, UNLOCK

  Neighbour(const Server& server, Kind kind, LiveClock& clock);
  ~Neighbour() { Stop(); }
  void Stop();

  // A command is under way, and its backend sleeps: the command's number; 0 if not so.
  uint64_t SleepsIn() const;
  std::vector<double> TakeStallsMs();  // since the last call; only when stopped or between kills
  std::string error() const { return failed_ ? error_ : ""; }
  uint64_t commands() const { return done_; }
  uint64_t increments() const { return increments_; }

 private:
  void Work();
  void Transfer();
  void Write();
  void HoldName();
  // Any error, wrong reply or lost connection is the end.
  Reply Do(const std::vector<std::string>& words);
  void Expect(bool right, const std::string& what);

  Kind kind_;
  LiveClock& clock_;
  Connection connection_;
  pid_t backend_;
  std::mt19937 random_{std::random_device{}()};
  std::map<std::string, std::string> mine_;
  int64_t last_token_ = 0;
  std::atomic<uint64_t> increments_ = 0;
  std::atomic<uint64_t> begun_ = 0, done_ = 0;
  std::vector<double> stalls_ms_;
  std::atomic<bool> copying_ = false;
  std::string error_;
  std::atomic<bool> failed_ = false, stop_ = false;
  std::thread thread_;
};

}  // namespace warren::test
