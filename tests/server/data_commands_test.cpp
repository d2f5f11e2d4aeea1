// Data commands against the running server: sizes, restarts, many clients at once.
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/server/server_fixture.h"

namespace warren::test {
namespace {

std::string Bytes(size_t size, uint32_t seed) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  return bytes;
}

std::string KeyOf(int i) { return "key:" + std::to_string(i); }

}  // namespace

TEST_CASE("values of all sizes with binary keys survive a restart") {
  Server server;
  const std::vector<size_t> sizes = {0,    1,    100,    2000,    2047,         2048,
                                     4096, 8192, 10'000, 1 << 20, (5 << 20) + 3};
  const auto key_of = [](size_t size) {
    return std::string("\0\r\n\xff", 4) + std::to_string(size);
  };
  for (size_t size : sizes) {
    CHECK(server.Command("SET", key_of(size), Bytes(size, static_cast<uint32_t>(size))).ok());
  }
  CHECK(server.Command("PEXPIREAT", key_of(100), "4102444800123").integer == 1);
  CHECK(server.Stop() == 0);
  server.Start();
  CHECK(server.Command("DBSIZE").integer == static_cast<int64_t>(sizes.size()));
  for (size_t size : sizes) {
    CAPTURE(size);
    CHECK(server.Command("STRLEN", key_of(size)).integer == static_cast<int64_t>(size));
    CHECK(server.Command("GET", key_of(size)).text == Bytes(size, static_cast<uint32_t>(size)));
  }
  CHECK(server.Command("PEXPIRETIME", key_of(100)).integer == 4102444800123);
  CHECK(server.Command("PEXPIRETIME", key_of(1)).integer == -1);
}

TEST_CASE("a value of max_value_size is stored and one byte more is refused") {
  Server server;
  const std::string largest = Bytes(64 << 20, 7);
  CHECK(server.Command("SET", "k", largest).ok());
  CHECK(server.Command("STRLEN", "k").integer == 64 << 20);
  CHECK(server.Command("GET", "k").text == largest);
  CHECK(server.Command("APPEND", "k", "x").is_error("ERR string exceeds maximum allowed size"));
  CHECK(server.Command("SETRANGE", "k", "67108863", "!").integer == 64 << 20);
  Connection other = server.Connect();
  other.SendRaw("*3\r\n$3\r\nSET\r\n$1\r\nl\r\n$67108865\r\n");
  CHECK(other.ClosedByServer());
  CHECK(server.Command("GETRANGE", "k", "67108862", "-1").text ==
        largest.substr((64 << 20) - 2, 1) + "!");
  CHECK(server.Command("EXISTS", "l").integer == 0);
}

TEST_CASE("increments of many clients at once are all counted") {
  Server server;
  constexpr int kClients = 8, kIncrements = 500;
  std::vector<Connection> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(server.Connect());
  for (Connection& client : clients) {
    for (int i = 0; i < kIncrements; ++i) client.Append({"INCR", "n"});
  }
  std::set<int64_t> seen;
  for (int i = 0; i < kIncrements; ++i) {
    for (Connection& client : clients) seen.insert(client.Receive().integer);
  }
  CHECK(seen.size() == kClients * kIncrements);
  CHECK(*seen.rbegin() == kClients * kIncrements);
  CHECK(server.Command("GET", "n").text == std::to_string(kClients * kIncrements));
}

TEST_CASE("SET NX lets one of many clients win") {
  Server server;
  std::vector<Connection> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(server.Connect());
  for (int round = 0; round < 50; ++round) {
    const std::string key = KeyOf(round);
    for (size_t i = 0; i < clients.size(); ++i) {
      clients[i].Append({"SET", key, std::to_string(i), "NX"});
    }
    std::vector<size_t> winners;
    for (size_t i = 0; i < clients.size(); ++i) {
      if (clients[i].Receive().ok()) winners.push_back(i);
    }
    REQUIRE(winners.size() == 1);
    CHECK(server.Command("GET", key).text == std::to_string(winners[0]));
  }
}

TEST_CASE("appends of many clients at once are all there, whole") {
  Server server;
  std::vector<Connection> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(server.Connect());
  constexpr int kRounds = 200;
  for (size_t i = 0; i < clients.size(); ++i) {
    const std::string part(10, static_cast<char>('a' + i));
    for (int round = 0; round < kRounds; ++round) clients[i].Append({"APPEND", "k", part});
  }
  for (Connection& client : clients) {
    for (int round = 0; round < kRounds; ++round) CHECK(client.Receive().integer > 0);
  }
  const std::string value = server.Command("GET", "k").text;
  REQUIRE(value.size() == clients.size() * kRounds * 10);
  std::vector<int> parts(clients.size());
  for (size_t at = 0; at < value.size(); at += 10) {
    CHECK(value.substr(at, 10) == std::string(10, value[at]));
    ++parts[static_cast<size_t>(value[at] - 'a')];
  }
  for (int count : parts) CHECK(count == kRounds);
}

TEST_CASE("SCAN returns every key that is there all the time, whatever is inserted and removed") {
  Server server;
  constexpr int kKeys = 5000;
  Connection writer = server.Connect();
  for (int i = 0; i < kKeys; ++i) writer.Append({"SET", KeyOf(i), "v"});
  for (int i = 0; i < kKeys; ++i) REQUIRE(writer.Receive().ok());
  std::set<std::string> seen;
  std::string cursor = "0";
  int made = 0;
  do {
    // Split what is still to be scanned and what has been, and empty leaves again.
    constexpr int kBatch = 200;
    for (int i = 0; i < kBatch; ++i, ++made) {
      writer.Append({"SET", KeyOf(made * 7919 % kKeys) + ":new", std::string(300, 'x')});
      writer.Append({"DEL", KeyOf((made - kBatch) * 7919 % kKeys) + ":new"});
    }
    // Another connection each time: the cursor is all that counts.
    Connection reader = server.Connect();
    Reply reply = reader("SCAN", cursor, "COUNT", "100");
    REQUIRE(reply.elements.size() == 2);
    cursor = reply.elements[0].text;
    for (const Reply& key : reply.elements[1].elements) seen.insert(key.text);
    for (int i = 0; i < 2 * kBatch; ++i) REQUIRE_FALSE(writer.Receive().is_error());
  } while (cursor != "0");
  int missed = 0;
  for (int i = 0; i < kKeys; ++i) missed += seen.contains(KeyOf(i)) ? 0 : 1;
  CHECK(missed == 0);
}

TEST_CASE("a reply over client_output_limit ends that connection only") {
  Server server({"--client_output_limit", "1mb"});
  const std::string value(100'000, 'v');
  for (int i = 0; i < 50; ++i) REQUIRE(server.Command("SET", KeyOf(i), value).ok());
  Connection greedy = server.Connect();
  CHECK(greedy("RANGE", "-", "+", "WITHVALUES").closed());
  greedy = server.Connect();
  std::vector<std::string> all{"MGET"};
  for (int i = 0; i < 50; ++i) all.push_back(KeyOf(i));
  CHECK(greedy.Send(all).closed());
  CHECK(server.Command("RANGE", "-", "+", "WITHVALUES", "LIMIT", "5").elements.size() == 10);
  CHECK(server.Command("KEYS", "*").elements.size() == 50);
}

TEST_CASE("an expired key is gone for every client, and its successor lives") {
  Server server;
  Connection other = server.Connect();
  CHECK(server.Command("SET", "k", "v", "PX", "150").ok());
  CHECK(other("GET", "k").text == "v");
  CHECK(WaitUntil([&] { return other("GET", "k").nil(); }));
  CHECK(server.Command("EXISTS", "k").integer == 0);
  CHECK(server.Command("TTL", "k").integer == -2);
  CHECK(server.Command("SETNX", "k", "w").integer == 1);
  CHECK(other("TTL", "k").integer == -1);
  CHECK(other("GET", "k").text == "w");
}

TEST_CASE("keys are kept apart by database, and FLUSHDB empties one") {
  Server server;
  Connection other = server.Connect();
  CHECK(other("SELECT", "9").ok());
  CHECK(server.Command("MSET", "a", "1", "b", "2").ok());
  CHECK(other("SET", "a", "nine").ok());
  CHECK(server.Command("GET", "a").text == "1");
  CHECK(server.Command("MOVE", "a", "9").integer == 0);
  CHECK(server.Command("MOVE", "b", "9").integer == 1);
  CHECK(other("DBSIZE").integer == 2);
  CHECK(other("FLUSHDB").ok());
  CHECK(other("DBSIZE").integer == 0);
  CHECK(server.Command("DBSIZE").integer == 1);
  CHECK(server.Command("FLUSHALL").ok());
  CHECK(server.Command("DBSIZE").integer == 0);
}

TEST_CASE("max_key_size and max_value_size can change while clients work") {
  Server server;
  const std::string key(500, 'k');
  CHECK(server.Command("SET", key, "v").ok());
  CHECK(server.Command("CONFIG", "SET", "max_key_size", "100", "max_value_size", "1kb").ok());
  CHECK(server.Command("SET", key, "v").text == "ERR key is 500 bytes long, max_key_size is 100");
  CHECK(server.Command("SETRANGE", "k", "1023", "xx").is_error("ERR string exceeds maximum"));
  CHECK(server.Command("GET", key).text == "v");
  CHECK(server.Command("CONFIG", "SET", "max_key_size", "1kb").ok());
  CHECK(server.Command("SET", key, "w").ok());
}

}  // namespace warren::test
