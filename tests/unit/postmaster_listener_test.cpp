#include "postmaster/listener.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

using namespace warren;

namespace {

// A port that was free a moment ago.
uint16_t SomePort() {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), bytes) == 0);
  REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &bytes) == 0);
  return ntohs(address.sin_port);
}

}  // namespace

TEST_CASE("listening sockets don't block and bear the name that people write") {
  const uint16_t port = SomePort();
  const auto listeners = OpenListeners({.bind = {"127.0.0.1"}, .port = port, .unix_socket = ""});
  REQUIRE(listeners.ok());
  REQUIRE(listeners->size() == 1);
  CHECK(listeners->front().name == "127.0.0.1:" + std::to_string(port));
  CHECK((fcntl(listeners->front().fd.get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(listeners->front().fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("an address that cannot be had is an error that names it, unless it is optional") {
  const uint16_t port = SomePort();
  const auto refused = OpenListeners({.bind = {"192.0.2.1"}, .port = port, .unix_socket = ""});
  REQUIRE(!refused.ok());
  CHECK(refused.error().message.find("192.0.2.1:" + std::to_string(port)) != std::string::npos);
  CHECK(OpenListeners({.bind = {"127.0.0.1", "-192.0.2.1"}, .port = port, .unix_socket = ""}).ok());
  CHECK(!OpenListeners({.bind = {"-192.0.2.1"}, .port = port, .unix_socket = ""}).ok());
  CHECK(!OpenListeners({.bind = {"example"}, .port = port, .unix_socket = ""}).ok());
}

TEST_CASE("an optional address that is here must be free all the same") {
  const uint16_t port = SomePort();
  const auto first = OpenListeners({.bind = {"127.0.0.1"}, .port = port, .unix_socket = ""});
  REQUIRE(first.ok());
  CHECK(!OpenListeners({.bind = {"-127.0.0.1"}, .port = port, .unix_socket = ""}).ok());
}

TEST_CASE("a socket path that is too long, or without a directory, is an error that names it") {
  const std::string long_path = "/tmp/" + std::string(200, 'x');
  const auto too_long = OpenListeners({.bind = {}, .port = 0, .unix_socket = long_path});
  REQUIRE(!too_long.ok());
  CHECK(too_long.error().message.find(long_path) != std::string::npos);
  CHECK(!OpenListeners({.bind = {}, .port = 0, .unix_socket = "/tmp/no/such/place"}).ok());
  CHECK(!OpenListeners({.bind = {}, .port = 0, .unix_socket = ""}).ok());
}
