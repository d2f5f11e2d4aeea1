// On which server are scenarios played, and who waits for whom there?
//
// Warren, or redis-server for those that claim to hold there, too (which knows no LOCKS: nobody
// ever waits in Redis).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/server/redis_server.h"
#include "tests/server/server_fixture.h"

namespace warren::test {

// A row of LOCKS, as far as scenarios care.
struct LockRow {
  int64_t pid = 0;
  bool granted = false;
  int64_t wait_ms = 0;
  std::vector<int64_t> blocked_by;  // process ids
  std::string text;                 // the whole row
};

class Stage {
 public:
  // settings: "lock_timeout=100ms"
  explicit Stage(const std::vector<std::string>& settings);
  explicit Stage(const std::string& redis_program);

  Connection Connect() const;
  bool is_redis() const { return redis_ != nullptr; }
  Server& server() { return *warren_; }

  Reply Command(const std::vector<std::string>& words);
  std::vector<LockRow> Locks();
  std::string LocksAsText();
  // Empties all databases and makes the setup's commands. What failed, or nothing.
  std::string Prepare(const std::vector<std::vector<std::string>>& setup);
  // What is wrong with a stage that nobody plays on: locks that are left, a damaged store.
  std::string Inspect();

  void Restart();           // after a clean end
  void RestartAfterKill();  // after SIGKILL to all processes

 private:
  std::unique_ptr<Server> warren_;
  std::unique_ptr<RedisServer> redis_;
  Connection control_;
};

}  // namespace warren::test
