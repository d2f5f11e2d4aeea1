// How does a test get a redis-server to compare with?
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "tests/server/server_fixture.h"

namespace warren::test {

// Its limit on strings; given to Warren, too, the limit can be met with little memory.
inline constexpr const char* kRedisMaxValueBytes = "1048576";

// Where redis-server is; a message and nothing where it is not installed.
std::optional<std::string> RedisOrSkip();

// One redis-server without files.
class RedisServer {
 public:
  explicit RedisServer(const std::string& program);
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;
  Connection Connect() const { return Connection::Tcp("127.0.0.1", port_); }

 private:
  pid_t Spawn(const std::string& program) const;

  int port_;
  pid_t pid_;
};

}  // namespace warren::test
