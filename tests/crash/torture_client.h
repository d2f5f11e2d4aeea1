// What does a client know about what must be in the database after a crash?
//
// Each client has keys of its own and keeps a journal of them: what they hold by all acknowledged
// writes, and the writes sent since then that no reply has come for. After a crash its keys must
// hold the former, with some of the latter made in order: a log is a prefix, so a later write is
// never there without an earlier one of the same connection, and none is there in part.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/server/server_fixture.h"

namespace warren::test {

// Keys that every client increments.
inline constexpr int kSharedCounters = 3;
std::string SharedCounter(int i);

class TortureClient {
 public:
  // The first clients share database 0; each of the others has a database alone and empties it now
  // and then.
  TortureClient(int number, uint64_t seed);

  // Sends writes, alone and in batches, until the connection breaks or `stop` is set. Connects
  // again for as long as the server lets it. What went wrong, or nothing.
  std::string Work(const Server& server, const std::atomic<bool>& stop);

  // Compares what the server has with the journal, which from then on says what was found. What is
  // wrong, or nothing.
  std::string Verify(const Server& server);

  // Increments of the shared counters: those acknowledged, and those sent since without a reply.
  // Verify takes the latter for settled.
  uint64_t acknowledged_increments() const { return acknowledged_increments_; }
  uint64_t open_increments() const { return open_increments_; }
  uint64_t acknowledged_writes() const { return acknowledged_writes_; }

 private:
  using Words = std::vector<std::string>;
  using State = std::map<std::string, std::string>;

  Words RandomWrite();
  std::string RandomKey();
  std::string NewValue(const std::string& key, size_t bytes);
  // Makes the change on `state`; the reply that the server has to give.
  static std::string Apply(const Words& write, State& state);
  std::string RunBatch(Connection& connection, size_t size);
  Connection ConnectToOwnDatabase(const Server& server) const;
  // False: the connection broke.
  bool ReadOwnKeys(Connection& connection, State& state) const;

  int number_;
  std::mt19937_64 random_;
  uint64_t sequence_ = 0;  // of values
  State acknowledged_;
  std::deque<Words> unacknowledged_;
  uint64_t acknowledged_increments_ = 0;
  uint64_t open_increments_ = 0;
  uint64_t acknowledged_writes_ = 0;
};

}  // namespace warren::test
