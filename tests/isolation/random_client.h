// How does a client that makes random transactions connect, ask, break off, and begin anew?
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/server/server_fixture.h"

namespace warren::test {

// What goes wrong meanwhile, on purpose.
struct Faults {
  unsigned cuts = 3;           // of 1,000 requests: how many are followed by closing the connection
  bool kill_clients = false;   // CLIENT KILL now and then
  bool kill_backends = false;  // SIGKILL now and then
};

class RandomClient {
 public:
  RandomClient(int number, uint64_t seed, unsigned cuts);
  virtual ~RandomClient() = default;

  // Instead of the first one; before Work.
  void UseDatabase(int database) { database_ = database; }

  // Makes transactions until `stop`, over new connections when they break. What no correct server
  // would have answered, or nothing.
  std::string Work(const Server& server, const std::atomic<bool>& stop);

  // Of the connection in use, for who wants to cut it; 0: none.
  int64_t connection_id() const { return connection_id_; }
  pid_t backend() const { return backend_; }
  uint64_t deadlocks() const { return deadlocks_; }
  uint64_t timeouts() const { return timeouts_; }

 protected:
  using Words = std::vector<std::string>;
  struct Broken {};

  virtual void OneTransaction() = 0;
  virtual void OnBroken() {}

  // Sends and receives; throws Broken if no reply came.
  Reply Ask(const Words& words);
  // Ends the work: no correct server answers so.
  void Unexpected(const Words& words, const Reply& reply);
  // Is it DEADLOCK or LOCKTIMEOUT? Counts it.
  bool IsLockError(const Reply& reply);
  // LOCKTIMEOUT, be it of a command or of an EXEC.
  static bool IsTimeout(const Reply& reply);
  uint64_t Random(uint64_t limit) { return random_() % limit; }
  bool OneOf(unsigned n) { return Random(n) == 0; }
  int number() const { return number_; }

 private:
  void Connect(const Server& server);

  const int number_;
  std::mt19937_64 random_;
  const unsigned cuts_;
  int database_ = 0;
  Connection connection_;
  std::atomic<int64_t> connection_id_ = 0;
  std::atomic<pid_t> backend_ = 0;
  std::string problem_;
  uint64_t deadlocks_ = 0;
  uint64_t timeouts_ = 0;
};

struct RunResult {
  std::vector<std::string> problems;  // answers that no server should give, locks that are left
  uint64_t deadlocks = 0, timeouts = 0, kills = 0;
  std::string text() const;
};

// Lets all work at once, with faults, and then looks for locks that are left and at CHECK.
RunResult RunClients(Server& server, const std::vector<RandomClient*>& clients,
                     Milliseconds duration, const Faults& faults, uint64_t seed);

}  // namespace warren::test
