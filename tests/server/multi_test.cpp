// MULTI, EXEC and WATCH where Redis can't be asked: limits, refusals, what others see.
#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/server_fixture.h"

namespace warren::test {
namespace {

constexpr const char* kNotAllowed = "ERR Command not allowed inside a transaction";
constexpr const char* kSpoilt = "EXECABORT Transaction discarded because of previous errors.";

int64_t Stat(Server& server, const std::string& name) {
  return server.Command("STATS", name).elements.at(1).integer;
}

// The line of CLIENT LIST that shows `connection`.
std::string LineOf(Server& server, Connection& connection) {
  const std::string id = "id=" + std::to_string(connection("CLIENT", "ID").integer) + " ";
  const std::string list = server.Command("CLIENT", "LIST").text;
  const size_t at = list.find(id);
  REQUIRE(at != std::string::npos);
  return list.substr(at, list.find('\n', at) - at);
}

bool Shows(const std::string& line, const std::string& field) {
  return (line + " ").find(" " + field + " ") != std::string::npos;
}

// Of all databases: nothing is held or waited for.
bool NoLocks(Server& server) {
  return WaitUntil([&] { return server.Command("LOCKS").elements.empty(); });
}

}  // namespace

TEST_CASE("CLIENT LIST shows what is queued and how many keys are watched") {
  Server server;
  Connection client = server.Connect();
  const std::string id = std::to_string(client("CLIENT", "ID").integer);
  const auto line = [&] { return server.Command("CLIENT", "LIST", "ID", id).text; };
  CHECK(Shows(line(), "multi=-1"));
  CHECK(Shows(line(), "watch=0"));
  REQUIRE(client("WATCH", "a", "b", "a").ok());
  CHECK(Shows(line(), "watch=2"));
  REQUIRE(client("MULTI").ok());
  CHECK(Shows(line(), "multi=0"));
  CHECK(Shows(line(), "flags=x"));
  client("GET", "a");
  client("CLIENT", "INFO");
  CHECK(Shows(line(), "multi=2"));
  const Reply replies = client("EXEC");
  REQUIRE(replies.elements.size() == 2);
  CHECK(Shows(replies.elements[1].text, "multi=2"));
  CHECK(Shows(LineOf(server, client), "multi=-1"));
  CHECK(Shows(LineOf(server, client), "watch=0"));
}

TEST_CASE("what a client queues is bounded by client_query_limit") {
  Server server({"--client_query_limit", "1mb"});
  Connection client = server.Connect();
  REQUIRE(client("MULTI").ok());
  const std::string value(300'000, 'v');
  for (int i = 0; i < 3; ++i) CHECK(client("SET", "k", value).text == "QUEUED");
  CHECK(client("SET", "k", value).is_error("ERR the commands queued since MULTI would take more"));
  CHECK(client("EXEC").text == kSpoilt);
  CHECK(client("EXISTS", "k").integer == 0);
  CHECK(client("SET", "k", "v").ok());

  std::vector<std::string> watch{"WATCH"};
  for (int i = 0; i < 1000; ++i) watch.push_back(std::string(500, 'k') + std::to_string(i));
  Reply reply = client.Send(watch);
  CHECK(reply.ok());
  for (std::string& key : watch) key = key == "WATCH" ? key : "l" + key;
  reply = client.Send(watch);
  CHECK(reply.is_error("ERR the watched keys would take more than client_query_limit"));
  CHECK(client("UNWATCH").ok());
  CHECK(client.Send(watch).ok());
}

TEST_CASE("what would wait or can't be undone is refused between MULTI and EXEC") {
  Server server;
  Connection client = server.Connect();
  const std::vector<std::vector<std::string>> refused = {
      {"CHECKPOINT"},      {"SAVE"},
      {"VACUUM"},          {"CHECK"},
      {"BACKUP", "BEGIN"}, {"CONFIG", "SET", "lock_timeout", "1s"},
      {"SHUTDOWN"},        {"WAITAOF", "1", "0", "0"},
      {"LOCK", "name"},    {"TRYLOCK", "name"},
      {"UNLOCK", "name"},  {"CLIENT", "REPLY", "ON"},
      {"BEGIN"},           {"COMMIT"},
      {"ROLLBACK"},        {"SAVEPOINT", "s"},
      {"GETLOCK", "k"},
  };
  for (const auto& words : refused) {
    CAPTURE(words[0]);
    REQUIRE(client("MULTI").ok());
    CHECK(client("SET", "k", "v").text == "QUEUED");
    CHECK(client.Send(words).text == kNotAllowed);
    CHECK(client("EXEC").text == kSpoilt);
  }
  CHECK(client("EXISTS", "k").integer == 0);
  CHECK(NoLocks(server));
}

TEST_CASE("MULTI and WATCH are refused inside BEGIN and say why") {
  Server server;
  Connection client = server.Connect();
  REQUIRE(client("BEGIN").ok());
  CHECK(client("MULTI").is_error("ERR 'multi' is not allowed inside a transaction"));
  CHECK(client("WATCH", "k").is_error("ERR 'watch' is not allowed inside a transaction"));
  CHECK(client("EXEC").text == "ERR EXEC without MULTI");
  CHECK(client("DISCARD").text == "ERR DISCARD without MULTI");
  CHECK(client("SET", "k", "v").ok());
  CHECK(client("COMMIT").ok());
  CHECK(client("GET", "k").text == "v");
  CHECK(NoLocks(server));
}

TEST_CASE("RESET and the end of the connection forget queue and watched keys") {
  Server server;
  Connection client = server.Connect();
  REQUIRE(client("WATCH", "k").ok());
  REQUIRE(client("MULTI").ok());
  CHECK(client("SET", "k", "v").text == "QUEUED");
  CHECK(client("RESET").text == "RESET");
  CHECK(client("EXEC").text == "ERR EXEC without MULTI");
  REQUIRE(client("MULTI").ok());
  CHECK(client("SET", "k", "v").text == "QUEUED");
  CHECK(client("QUIT").ok());
  CHECK(server.Command("EXISTS", "k").integer == 0);
  CHECK(NoLocks(server));
}

TEST_CASE("sixteen pipelined transactions cost one flush of the log") {
  Server server;
  Connection client = server.Connect();
  client("SET", "k", "0");
  const int64_t before = Stat(server, "wal_flush_waits");
  std::string requests;
  for (int i = 0; i < 16; ++i) requests += "MULTI\r\nINCR k\r\nINCR l\r\nEXEC\r\n";
  client.SendRaw(requests);
  for (int i = 1; i <= 16; ++i) {
    for (int ignored = 0; ignored < 3; ++ignored) client.Receive();
    const Reply reply = client.Receive();
    REQUIRE(reply.elements.size() == 2);
    CHECK(reply.elements[0].integer == i);
  }
  CHECK(Stat(server, "wal_flush_waits") == before + 1);
}

TEST_CASE("EXEC does nothing if it can't have its locks in time") {
  Server server;
  Connection holder = server.Connect(), client = server.Connect();
  REQUIRE(holder("BEGIN").ok());
  REQUIRE(holder("SET", "locked", "v").ok());
  REQUIRE(client("SESSION", "SET", "lock_timeout", "20ms").ok());
  REQUIRE(client("MULTI").ok());
  client("SELECT", "1");
  client("SET", "k", "v");
  client("SELECT", "0");
  client("GET", "locked");
  CHECK(client("EXEC").is_error("EXECABORT Transaction discarded because of: LOCKTIMEOUT "));
  CHECK(Shows(LineOf(server, client), "db=0"));
  CHECK(Shows(LineOf(server, client), "multi=-1"));
  client("SELECT", "1");
  CHECK(client("EXISTS", "k").integer == 0);
  CHECK(holder("ROLLBACK").ok());
  CHECK(NoLocks(server));
}

TEST_CASE("EXEC waits for those who have locked its keys and then sees what they did") {
  Server server;
  Connection holder = server.Connect(), client = server.Connect();
  REQUIRE(holder("BEGIN").ok());
  REQUIRE(holder("SET", "k", "5").ok());
  REQUIRE(client("MULTI").ok());
  client("INCR", "k");
  client.SendRaw("EXEC\r\n");
  CHECK(WaitUntil([&] {
    for (const Reply& row : server.Command("LOCKS").elements) {
      if (row.elements.at(9).integer == 0) return true;
    }
    return false;
  }));
  CHECK(holder("COMMIT").ok());
  const Reply reply = client.Receive();
  REQUIRE(reply.elements.size() == 1);
  CHECK(reply.elements[0].integer == 6);
  CHECK(NoLocks(server));
}

TEST_CASE("one of EXEC's commands that fails has done nothing and the others have") {
  Server server;
  Connection client = server.Connect();
  REQUIRE(client("MULTI").ok());
  client("SET", "before", "1");
  client("MSET", "a", "1", std::string(1500, 'k'), "2", "b", "3");
  client("SET", "after", "1");
  const Reply reply = client("EXEC");
  REQUIRE(reply.elements.size() == 3);
  CHECK(reply.elements[0].ok());
  CHECK(reply.elements[1].is_error("ERR key is 1500 bytes long"));
  CHECK(reply.elements[2].ok());
  CHECK(client("EXISTS", "before", "after").integer == 2);
  CHECK(client("EXISTS", "a", "b").integer == 0);
}

TEST_CASE("EXEC does nothing if its changes are larger than transaction_max_memory") {
  Server server({"--transaction_max_memory", "1mb"});
  Connection client = server.Connect();
  REQUIRE(client("MULTI").ok());
  client("SET", "k", "v");
  client("SELECT", "1");
  client("SET", "large", std::string(2'000'000, 'v'));
  client("SET", "l", "v");
  CHECK(client("EXEC").is_error("EXECABORT Transaction discarded because of: "));
  CHECK(client("EXISTS", "k", "l").integer == 0);
  CHECK(client("SET", "k", "v").ok());
  CHECK(NoLocks(server));
}

TEST_CASE("time stands still within EXEC") {
  Server server;
  Connection client = server.Connect();
  REQUIRE(client("MULTI").ok());
  for (int i = 0; i < 500; ++i) client("SET", "k", std::to_string(i), "PX", "100000");
  client("PTTL", "k");
  const Reply reply = client("EXEC");
  REQUIRE(reply.elements.size() == 501);
  CHECK(reply.elements.back().integer == 100'000);
}

TEST_CASE("the commands of EXEC are counted as the commands that they are") {
  Server server;
  Connection client = server.Connect();
  REQUIRE(client("MULTI").ok());
  for (int i = 0; i < 3; ++i) client("INCR", "n");
  client("APPEND");
  const auto stats = [&] { return server.Command("INFO", "commandstats").text; };
  CHECK(stats().find("cmdstat_incr:") == std::string::npos);
  CHECK(stats().find("cmdstat_append:calls=0,") != std::string::npos);
  client("DISCARD");
  REQUIRE(client("MULTI").ok());
  for (int i = 0; i < 3; ++i) client("INCR", "n");
  client("INCRBY", "n", "x");
  client("EXEC");
  CHECK(stats().find("cmdstat_incr:calls=3,") != std::string::npos);
  CHECK(stats().find("cmdstat_exec:calls=1,") != std::string::npos);
  const std::string text = stats();
  const size_t at = text.find("cmdstat_incrby:calls=1,");
  REQUIRE(at != std::string::npos);
  CHECK(text.substr(at, text.find('\r', at) - at).ends_with("failed_calls=1"));
}

TEST_CASE("no increment is lost where every client watches what it has read") {
  Server server;
  constexpr int kClients = 4, kEach = 50;
  std::vector<std::thread> clients;
  std::vector<int> refused(kClients), lost(kClients);
  for (size_t i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      Connection client = server.Connect();
      for (int done = 0; done < kEach;) {
        client("WATCH", "k");
        const std::string value = client("GET", "k").text;
        client("MULTI");
        client("SET", "k", std::to_string(std::atoi(value.c_str()) + 1));
        const Reply reply = client("EXEC");
        if (reply.closed() || reply.is_error()) return void(lost[i] = 1);
        reply.nil() ? ++refused[i] : ++done;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  for (const int each : lost) CHECK(each == 0);
  CHECK(server.Command("GET", "k").text == std::to_string(kClients * kEach));
  CHECK(NoLocks(server));
}

TEST_CASE("MGET and EXISTS of several keys see no half of a change") {
  Server server;
  server.Command("CONFIG", "SET", "synchronous_commit", "off");
  for (int i = 0; i < 200; ++i)
    server.Command("SET", "m" + std::to_string(i), std::string(500, 'm'));
  std::atomic<bool> done = false;
  std::atomic<int> mixed = 0, looks = 0;
  // On either side of those in between, so in different leaves.
  std::thread writer([&] {
    Connection client = server.Connect();
    for (int i = 0; i < 3000; ++i) {
      const std::string value = std::to_string(i);
      client("MSET", "a", value, "z", value);
      if (i % 3 == 0) client("DEL", "z", "a");
    }
    done = true;
  });
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      Connection client = server.Connect();
      while (!done) {
        const Reply values = client("MGET", "a", "m5", "z");
        if (values.elements.size() != 3 || values.elements[0].text != values.elements[2].text)
          ++mixed;
        if (client("EXISTS", "z", "a").integer == 1) ++mixed;
        ++looks;
      }
    });
  }
  writer.join();
  for (std::thread& reader : readers) reader.join();
  CHECK(mixed == 0);
  CHECK(looks > 100);
  CHECK(NoLocks(server));
}

TEST_CASE("a transaction of many keys and large values is whole after a crash") {
  Server server;
  Connection client = server.Connect();
  REQUIRE(client("MULTI").ok());
  const std::string large(200'000, 'l');
  for (int i = 0; i < 500; ++i) client("SET", "k" + std::to_string(i), i % 50 == 0 ? large : "v");
  CHECK(client("EXEC").elements.size() == 500);
  server.Kill();
  server.Start();
  CHECK(server.Command("DBSIZE").integer == 500);
  CHECK(server.Command("GET", "k450").text == large);
  CHECK(NoLocks(server));
}

}  // namespace warren::test
