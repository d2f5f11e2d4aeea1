// What becomes of clients that do not keep to the protocol, or do not keep up?
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <thread>

#include "server_fixture.h"

namespace warren::test {
namespace {

// All that the server sends until it closes.
std::string UntilClosed(Connection& connection) { return connection.ReceiveRaw(1 << 20); }

// Sends as long as the server takes something within a moment; how much it took.
size_t SendWhileTaken(Connection& connection, std::string_view bytes, size_t most) {
  size_t sent = 0;
  while (sent < most) {
    pollfd poll_for{.fd = connection.fd(), .events = POLLOUT, .revents = 0};
    if (poll(&poll_for, 1, 2000) != 1 || (poll_for.revents & (POLLERR | POLLHUP)) != 0) break;
    const size_t at = sent % bytes.size();
    const ssize_t n =
        send(connection.fd(), bytes.data() + at, bytes.size() - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) break;
    if (n > 0) sent += static_cast<size_t>(n);
  }
  return sent;
}

int64_t Statistic(Server& server, const std::string& name) {
  const Reply reply = server.Command("STATS", name);
  return reply.elements.size() == 2 ? reply.elements[1].integer : -1;
}

TEST_CASE("a protocol error is answered, and the connection closed") {
  Server server;
  const struct {
    std::string bytes, error;
  } cases[] = {
      {"*x\r\n", "invalid multibulk length"},
      {"*2147483648\r\n", "invalid multibulk length"},
      {"*1\r\n$-5\r\n", "invalid bulk length"},
      {"*1\r\n$999999999999\r\n", "invalid bulk length"},
      {"*1\r\n+PING\r\n", "expected '$', got '+'"},
      {"SET a \"b\r\n", "unbalanced quotes in request"},
      {std::string(70000, 'x'), "too big inline request"},
      {"*" + std::string(70000, '1'), "too big mbulk count string"},
      {"*1\r\n$" + std::string(70000, '1'), "too big bulk count string"},
  };
  int64_t closed = 0;
  for (const auto& test : cases) {
    CAPTURE(test.error);
    Connection client = server.Connect();
    client.SendRaw("PING\r\n" + test.bytes);
    CHECK(UntilClosed(client) == "+PONG\r\n-ERR Protocol error: " + test.error + "\r\n");
    ++closed;
  }
  CHECK(WaitUntil([&] { return Statistic(server, "connections_closed_protocol") == closed; }));
  CHECK(server.Command("PING").text == "PONG");
}

TEST_CASE("garbage ends in replies or a closed connection, and nobody else notices") {
  Server server;
  uint64_t state = 0x9e3779b97f4a7c15ull;
  for (int round = 0; round < 50; ++round) {
    Connection client = server.Connect();
    std::string bytes;
    for (int i = 0; i < 3000; ++i) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      bytes += static_cast<char>(state >> 40);
    }
    client.SendRaw(bytes + "\r\n");
    shutdown(client.fd(), SHUT_WR);
    UntilClosed(client);
    REQUIRE(server.Command("PING").text == "PONG");
  }
}

TEST_CASE("a request may come byte by byte") {
  Server server;
  Connection client = server.Connect();
  const std::string bytes = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nv\r\n\r\nGET k\r\n";
  for (char c : bytes) client.SendRaw({&c, 1});
  CHECK(client.ReceiveRaw(14) == "+OK\r\n$3\r\nv\r\n\r\n");
}

TEST_CASE("a client that has ended its half gets the replies it is owed") {
  Server server;
  Connection client = server.Connect();
  std::string requests;
  std::string replies;
  const std::string message(1000, 'm');
  for (int i = 0; i < 5000; ++i) {
    requests += fmt::format("*2\r\n$4\r\nECHO\r\n$1000\r\n{}\r\n", message);
    replies += fmt::format("$1000\r\n{}\r\n", message);
  }
  std::thread sender([&] {
    client.SendRaw(requests);
    shutdown(client.fd(), SHUT_WR);
  });
  CHECK(client.ReceiveRaw(replies.size()) == replies);
  sender.join();
  CHECK(client.ClosedByServer());
}

TEST_CASE("a client may send everything before it reads anything") {
  Server server;
  Connection client = server.Connect();
  const std::string request =
      fmt::format("*2\r\n$4\r\nECHO\r\n$1000\r\n{}\r\n", std::string(1000, 'm'));
  constexpr size_t kRequests = 30'000;
  const size_t sent = SendWhileTaken(client, request, request.size() * kRequests);
  REQUIRE(sent >= request.size() * kRequests);
  const size_t reply_bytes = (7 + 1000 + 2) * (sent / request.size());
  CHECK(client.ReceiveRaw(reply_bytes).size() == reply_bytes);
}

TEST_CASE("a client that never reads is disconnected at the output limit") {
  Server server({"--client_output_limit", "4mb"});
  Connection other = server.Connect();
  Connection client = server.Connect();
  const std::string request =
      fmt::format("*2\r\n$4\r\nECHO\r\n$10000\r\n{}\r\n", std::string(10'000, 'm'));
  const size_t most = size_t{200} << 20;
  CHECK(SendWhileTaken(client, request, most) < most);
  CHECK(WaitUntil([&] { return Statistic(server, "connections_closed_output_limit") == 1; }));
  CHECK(other("PING").text == "PONG");
}

TEST_CASE("a single reply larger than the output limit ends the connection") {
  Server server({"--client_output_limit", "1mb"});
  Connection client = server.Connect();
  CHECK(client("SET", "k", std::string(600'000, 'v')).ok());
  CHECK(client("GET", "k").text.size() == 600'000);
  CHECK(client("MGET", "k", "k", "k").closed());
  CHECK(WaitUntil([&] { return Statistic(server, "connections_closed_output_limit") == 1; }));
  CHECK(server.Command("CONFIG", "SET", "client_output_limit", "0").ok());
  CHECK(server.Command("MGET", "k", "k", "k").elements.size() == 3);
}

TEST_CASE("a client that never reads can be killed") {
  Server server;
  Connection client = server.Connect();
  const std::string id = std::to_string(client("CLIENT", "ID").integer);
  CHECK(client("SET", "k", std::string(20'000'000, 'v')).ok());
  client.SendRaw("GET k\r\nGET k\r\n");
  CHECK(WaitUntil([&] {
    return server.Command("CLIENT", "LIST", "ID", id).text.find("wait=client_write") !=
           std::string::npos;
  }));
  CHECK(server.Command("CLIENT", "KILL", "ID", id).integer == 1);
  CHECK(WaitUntil([&] { return server.Command("CLIENT", "LIST", "ID", id).text.empty(); }));
}

TEST_CASE("a silent client is disconnected after the idle timeout, a busy one is not") {
  Server server;
  Connection silent = server.Connect();
  CHECK(silent("PING").text == "PONG");
  Connection busy = server.Connect();
  CHECK(busy("CONFIG", "SET", "client_idle_timeout", "300ms").ok());
  // A waiting process takes new settings when it next wakes up.
  CHECK(silent("PING").text == "PONG");
  CHECK(WaitUntil([&] {
    if (busy("PING").text != "PONG") return true;
    return Statistic(server, "connections_closed_idle") >= 1;
  }));
  CHECK(busy("PING").text == "PONG");
  CHECK(silent.ClosedByServer());
}

TEST_CASE("a request longer than the query limit is refused") {
  Server server({"--client_query_limit", "1mb"});
  Connection client = server.Connect();
  client.SendRaw("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000000\r\n");
  CHECK(UntilClosed(client) == "-ERR Protocol error: client query buffer limit exceeded\r\n");
}

}  // namespace
}  // namespace warren::test
