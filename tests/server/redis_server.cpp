#include "tests/server/redis_server.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

namespace warren::test {

std::optional<std::string> RedisOrSkip() {
  std::stringstream path(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "/usr/bin");
  for (std::string directory; std::getline(path, directory, ':');) {
    const std::string program = directory + "/redis-server";
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  MESSAGE("skipped: redis-server is not installed");
  return {};
}

RedisServer::RedisServer(const std::string& program) : port_(FreePort()), pid_(Spawn(program)) {
  const bool answers = WaitUntil([&] {
    Connection connection = Connect();
    return connection.open() && connection("PING").text == "PONG";
  });
  REQUIRE_MESSAGE(answers, "redis-server does not answer");
}

RedisServer::~RedisServer() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

pid_t RedisServer::Spawn(const std::string& program) const {
  const std::string port = std::to_string(port_);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  const int null = open("/dev/null", O_RDWR);
  for (int fd : {0, 1, 2}) dup2(null, fd);
  execl(program.c_str(), "redis-server", "--port", port.c_str(), "--bind", "127.0.0.1", "--save",
        "", "--appendonly", "no", "--proto-max-bulk-len", kRedisMaxValueBytes, nullptr);
  _exit(127);
}

}  // namespace warren::test
