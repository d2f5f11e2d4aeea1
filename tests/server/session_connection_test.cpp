// What do the commands about connections do?
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "server_fixture.h"

namespace warren::test {
namespace {

std::string Raw(Connection& client, std::string_view request, std::string_view expected) {
  client.SendRaw(request);
  return client.ReceiveRaw(expected.size());
}

// The value of " name=value " in a line of CLIENT LIST.
std::string Field(const std::string& line, const std::string& name) {
  const size_t at = (" " + line).find(" " + name + "=");
  if (at == std::string::npos) return "(none)";
  const size_t from = at + name.size() + 1;
  return line.substr(from, line.find_first_of(" \n", from) - from);
}

TEST_CASE("PING, ECHO, SELECT and QUIT") {
  Server server;
  Connection client = server.Connect();
  CHECK(client("PING").text == "PONG");
  CHECK(client("ping", "hello").text == "hello");
  CHECK(client("PING", "a", "b").text == "ERR wrong number of arguments for 'ping' command");
  CHECK(client("ECHO", std::string("a\0b", 3)).text == std::string("a\0b", 3));
  CHECK(client("SELECT", "15").ok());
  CHECK(Field(client("CLIENT", "INFO").text, "db") == "15");
  CHECK(client("SELECT", "16").text == "ERR DB index is out of range");
  CHECK(client("SELECT", "-1").text == "ERR DB index is out of range");
  CHECK(client("SELECT", "x").text == "ERR value is not an integer or out of range");
  CHECK(client("QUIT").ok());
  CHECK(client.ClosedByServer());
}

TEST_CASE("unknown commands and wrong arities are answered in Redis's words") {
  Server server;
  CHECK(server.Command("nosuch", "a", "b").text ==
        "ERR unknown command 'nosuch', with args beginning with: 'a' 'b' ");
  CHECK(server.Command("CONFIG", "nosuch").text ==
        "ERR unknown subcommand 'nosuch'. Try CONFIG HELP.");
  CHECK(server.Command("GET").text == "ERR wrong number of arguments for 'get' command");
  CHECK(server.Command("CONFIG", "GET").text ==
        "ERR wrong number of arguments for 'config|get' command");
  CHECK(server.Command("CONFIG").text == "ERR wrong number of arguments for 'config' command");
}

TEST_CASE("HELLO chooses the protocol") {
  Server server;
  Connection client = server.Connect();
  CHECK(client("HELLO", "4").text == "NOPROTO unsupported protocol version");
  CHECK(client("HELLO", "x").text == "ERR Protocol version is not an integer or out of range");
  CHECK(client("HELLO", "3", "foo").text == "ERR Syntax error in HELLO option 'foo'");
  CHECK(client("HELLO").elements.size() == 14);
  CHECK(Raw(client, "HELLO 3 SETNAME me\r\n", "%7\r\n$6\r\nserver\r\n") ==
        "%7\r\n$6\r\nserver\r\n");
  client.ReceiveRaw(std::string("$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n").size());
  CHECK(client.ReceiveRaw(15) == "$5\r\nproto\r\n:3\r\n");
  CHECK(server.Command("CLIENT", "LIST").text.find("name=me ") != std::string::npos);
}

TEST_CASE("replies are of RESP3 after HELLO 3 and of RESP2 after RESET") {
  Server server;
  Connection client = server.Connect();
  client.SendRaw("HELLO 3\r\nGET nothing\r\n");
  std::string replies;
  while (!replies.ends_with("_\r\n")) {
    const std::string more = client.ReceiveRaw(1);
    REQUIRE(!more.empty());
    replies += more;
  }
  CHECK(Raw(client, "CONFIG GET port\r\n", "%1\r\n$4\r\nport\r\n") == "%1\r\n$4\r\nport\r\n");
  const std::string port = fmt::format("{}", server.port());
  client.ReceiveRaw(fmt::format("${}\r\n{}\r\n", port.size(), port).size());
  CHECK(Raw(client, "RESET\r\nGET nothing\r\n", "+RESET\r\n$-1\r\n") == "+RESET\r\n$-1\r\n");
}

TEST_CASE("with a password nothing but AUTH, HELLO, RESET and QUIT is done before AUTH") {
  Server server;
  CHECK(server.Command("CONFIG", "SET", "requirepass", "secret").ok());
  CHECK(server.Command("PING").text == "PONG");  // was there before the password
  Connection client = server.Connect();
  const std::string noauth = "NOAUTH Authentication required.";
  CHECK(client("PING").text == noauth);
  CHECK(client("GET", "k").text == noauth);
  CHECK(client("HELLO", "3").is_error("NOAUTH HELLO must be called with the client already"));
  const std::string wrong = "WRONGPASS invalid username-password pair or user is disabled.";
  CHECK(client("AUTH", "wrong").text == wrong);
  CHECK(client("AUTH", "nobody", "secret").text == wrong);
  CHECK(client("HELLO", "2", "AUTH", "default", "wrong").text == wrong);
  CHECK(client("AUTH", "default", "secret").ok());
  CHECK(client("PING").text == "PONG");
  CHECK(client("RESET").text == "RESET");
  CHECK(client("PING").text == noauth);
  CHECK(client("HELLO", "2", "AUTH", "default", "secret").elements.size() == 14);
  CHECK(client("PING").text == "PONG");
  CHECK(client("AUTH", "a", "b", "c").text == "ERR syntax error");
}

TEST_CASE("before AUTH requests are kept small") {
  Server server({"--requirepass", "secret"});
  Connection client = server.Connect();
  client.SendRaw("*11\r\n");
  CHECK(client.ReceiveRaw(1000) == "-ERR Protocol error: unauthenticated multibulk length\r\n");
  Connection other = server.Connect();
  other.SendRaw("*1\r\n$16385\r\n");
  CHECK(other.ReceiveRaw(1000) == "-ERR Protocol error: unauthenticated bulk length\r\n");
}

TEST_CASE("without a password AUTH says so, and the user default needs none") {
  Server server;
  CHECK(server.Command("AUTH", "x").is_error("ERR AUTH <password> called without any password"));
  CHECK(server.Command("AUTH", "default", "x").ok());
}

TEST_CASE("CLIENT LIST and INFO show each connection with its process") {
  Server server;
  Connection client = server.Connect();
  CHECK(client("CLIENT", "SETNAME", "one").ok());
  CHECK(client("CLIENT", "SETINFO", "LIB-NAME", "lib").ok());
  CHECK(client("CLIENT", "SETINFO", "lib-ver", "1.2").ok());
  CHECK(client("CLIENT", "GETNAME").text == "one");
  const std::string id = std::to_string(client("CLIENT", "ID").integer);
  const std::string line = client("CLIENT", "INFO").text;
  CHECK(Field(line, "id") == id);
  CHECK(Field(line, "name") == "one");
  CHECK(Field(line, "lib-name") == "lib");
  CHECK(Field(line, "lib-ver") == "1.2");
  CHECK(Field(line, "cmd") == "client|info");
  CHECK(Field(line, "laddr") == fmt::format("127.0.0.1:{}", server.port()));
  CHECK(ProcessExists(std::stoi(Field(line, "pid"))));
  const std::string listed = server.Command("CLIENT", "LIST", "ID", id, "9999").text;
  CHECK(Field(listed, "addr") == Field(line, "addr"));
  CHECK(Field(listed, "pid") == Field(line, "pid"));
  CHECK(server.Command("CLIENT", "LIST", "TYPE", "replica").text == "");
  CHECK(server.Command("CLIENT", "LIST", "TYPE", "nosuch").text ==
        "ERR Unknown client type 'nosuch'");
  CHECK(server.Command("CLIENT", "LIST", "ID", "x").text == "ERR Invalid client ID");
  CHECK(client("CLIENT", "SETNAME", "a b").is_error("ERR Client names cannot contain spaces"));
  CHECK(client("CLIENT", "SETINFO", "lib-name", "a b").is_error("ERR lib-name cannot contain"));
  CHECK(client("CLIENT", "SETNAME", "").ok());
  CHECK(client("CLIENT", "GETNAME").nil());
}

TEST_CASE("CLIENT KILL ends the connections it names and counts them") {
  Server server;
  Connection a = server.Connect();
  Connection b = server.Connect();
  const auto id_of = [](Connection& c) { return std::to_string(c("CLIENT", "ID").integer); };
  CHECK(server.Command("CLIENT", "KILL", "ID", id_of(a)).integer == 1);
  CHECK(a.ClosedByServer());
  CHECK(server.Command("CLIENT", "KILL", "ID", "99999").integer == 0);
  const std::string address = Field(b("CLIENT", "INFO").text, "addr");
  CHECK(server.Command("CLIENT", "KILL", address).ok());
  CHECK(b.ClosedByServer());
  CHECK(server.Command("CLIENT", "KILL", address).text == "ERR No such client");
  CHECK(server.Command("CLIENT", "KILL", "ID", "x").text ==
        "ERR client-id should be greater than 0");
  CHECK(server.Command("CLIENT", "KILL", "ID", "1", "foo").text == "ERR syntax error");
  CHECK(server.Command("CLIENT", "KILL", "USER", "foo").text == "ERR No such user 'foo'");
  CHECK(server.Command("CLIENT", "KILL", "TYPE", "pubsub").integer == 0);
}

TEST_CASE("CLIENT KILL spares its own connection unless told otherwise") {
  Server server;
  Connection a = server.Connect();
  Connection me = server.Connect();
  CHECK(a("PING").text == "PONG");
  CHECK(me("CLIENT", "KILL", "TYPE", "normal").integer >= 1);
  CHECK(a.ClosedByServer());
  CHECK(me("PING").text == "PONG");
  CHECK(me("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no").integer >= 1);
  CHECK(me.ClosedByServer());
}

TEST_CASE("a command under way is finished before CLIENT KILL ends its connection") {
  Server server;
  Connection client = server.Connect();
  const std::string id = std::to_string(client("CLIENT", "ID").integer);
  client.SendRaw("DEBUG SLEEP 30\r\n");
  CHECK(WaitUntil([&] {
    return server.Command("CLIENT", "LIST", "ID", id).text.find("cmd=debug|sleep") !=
           std::string::npos;
  }));
  CHECK(server.Command("CLIENT", "KILL", "ID", id).integer == 1);
  CHECK(client.ReceiveRaw(1000, Milliseconds(10'000)) == "+OK\r\n");
}

TEST_CASE("CLIENT REPLY leaves out replies") {
  Server server;
  Connection client = server.Connect();
  client.SendRaw(
      "CLIENT REPLY OFF\r\nPING a\r\nnosuch\r\nCLIENT REPLY ON\r\n"
      "CLIENT REPLY SKIP\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$1\r\nb\r\n");
  CHECK(client.ReceiveRaw(12) == "+OK\r\n$1\r\nb\r\n");
  CHECK(client("CLIENT", "REPLY", "foo").text == "ERR syntax error");
}

TEST_CASE("a pipelined batch is answered in order") {
  Server server;
  Connection client = server.Connect();
  for (int i = 0; i < 2000; ++i) client.Append({"ECHO", std::to_string(i)});
  for (int i = 0; i < 2000; ++i) REQUIRE(client.Receive().text == std::to_string(i));
}

TEST_CASE("a pipelined batch costs one receive and one send") {
  Server server;
  Connection client = server.Connect();
  CHECK(client("PING").text == "PONG");
  const auto sends = [&] { return client("STATS", "client_writes").elements.at(1).integer; };
  const int64_t before = sends();
  for (int i = 0; i < 100; ++i) client.Append({"PING"});
  for (int i = 0; i < 100; ++i) CHECK(client.Receive().text == "PONG");
  CHECK(sends() - before <= 3);
}

}  // namespace
}  // namespace warren::test
