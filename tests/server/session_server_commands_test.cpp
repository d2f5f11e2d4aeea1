// What do the commands about the server as a whole do?
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <string>

#include "server_fixture.h"

namespace warren::test {
namespace {

using Fields = std::map<std::string, std::string>;

Fields InfoOf(Server& server, const std::vector<std::string>& sections = {}) {
  std::vector<std::string> words = {"INFO"};
  words.insert(words.end(), sections.begin(), sections.end());
  const std::string text = server.CommandWords(words).text;
  Fields fields;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = text.find("\r\n", at);
    const std::string line = text.substr(at, end - at);
    const size_t colon = line.find(':');
    if (line.starts_with("# ")) fields[line] = "";
    if (colon != std::string::npos && line[0] != '#') {
      fields[line.substr(0, colon)] = line.substr(colon + 1);
    }
    at = end + 2;
  }
  return fields;
}

int64_t Number(Fields& fields, const std::string& name) {
  CAPTURE(name);
  REQUIRE(fields.contains(name));
  return std::stoll(fields[name]);
}

TEST_CASE("INFO says what is true of the server") {
  Server server;
  Connection second = server.Connect();
  CHECK(second("SET", "a", "1").ok());
  CHECK(second("SET", "b", "1", "EX", "1000").ok());
  CHECK(second("GET", "a").text == "1");
  CHECK(second("GET", "nothing").nil());
  Fields info = InfoOf(server);
  CHECK(info["redis_version"] == "7.0.15");
  CHECK(info["role"] == "master");
  CHECK(Number(info, "process_id") == server.pid());
  CHECK(Number(info, "tcp_port") == server.port());
  CHECK(Number(info, "connected_clients") == 2);
  CHECK(Number(info, "maxclients") > 0);
  CHECK(Number(info, "used_memory") > Number(info, "used_memory_shared"));
  CHECK(Number(info, "keyspace_hits") == 1);
  CHECK(Number(info, "keyspace_misses") == 1);
  CHECK(Number(info, "total_commands_processed") >= 4);
  CHECK(Number(info, "total_connections_received") >= 2);
  CHECK(Number(info, "total_net_input_bytes") > 0);
  CHECK(info["db0"] == "keys=2,expires=1,avg_ttl=0");
  CHECK(!info.contains("cmdstat_get"));
  CHECK(info.contains("# Server"));
}

TEST_CASE("INFO gives the sections asked for") {
  Server server;
  CHECK(server.Command("GET").is_error());
  CHECK(server.Command("GET", "a").nil());
  Fields some = InfoOf(server, {"commandstats", "ERRORSTATS", "nosuch"});
  CHECK(some.size() == 2 + 2 + some.count("cmdstat_ping"));
  CHECK(some["cmdstat_get"].starts_with("calls=1,usec="));
  CHECK(some["cmdstat_get"].ends_with(",rejected_calls=1,failed_calls=0"));
  CHECK(some["errorstat_ERR"] == "count=1");
  CHECK(InfoOf(server, {"everything"}).contains("cmdstat_get"));
  CHECK(InfoOf(server, {"nosuch"}).empty());
  CHECK(!InfoOf(server, {"default"}).contains("cmdstat_get"));
}

TEST_CASE("STATS gives counters by pattern, and CONFIG RESETSTAT makes them begin again") {
  Server server;
  for (int i = 0; i < 20; ++i) CHECK(server.Command("GET", "nothing").nil());
  const Reply misses = server.Command("STATS", "keyspace_MISSES");
  REQUIRE(misses.elements.size() == 2);
  CHECK(misses.elements[0].text == "keyspace_misses");
  CHECK(misses.elements[1].integer == 20);
  CHECK(server.Command("STATS").elements.size() > 60);
  CHECK(server.Command("STATS", "lwlock_settings_*").elements.size() >= 6);
  CHECK(server.Command("STATS", "nosuch*").elements.empty());
  CHECK(server.Command("CONFIG", "RESETSTAT").ok());
  CHECK(server.Command("STATS", "keyspace_misses").elements.at(1).integer == 0);
  CHECK(InfoOf(server, {"commandstats"}).count("cmdstat_get") == 0);
}

TEST_CASE("MEMORY SEGMENT lists structures that follow each other") {
  Server server;
  const Reply structures = server.Command("MEMORY", "SEGMENT");
  REQUIRE(structures.elements.size() > 5);
  int64_t end = 0;
  for (const Reply& structure : structures.elements) {
    REQUIRE(structure.elements.size() == 8);
    CHECK(structure.elements[3].integer >= end);
    end = structure.elements[3].integer + structure.elements[5].integer;
  }
  CHECK(end <= Number(*std::make_unique<Fields>(InfoOf(server, {"memory"})), "used_memory_shared"));
}

TEST_CASE("MEMORY COUNTS shows what is taken, and no more once it is given back") {
  Server server;
  Connection holder = server.Connect();
  const auto count = [&](const std::string& name) {
    const Reply counts = server.Command("MEMORY", "COUNTS");
    for (size_t i = 0; i + 1 < counts.elements.size(); i += 2) {
      if (counts.elements[i].text == name) return counts.elements[i + 1].integer;
    }
    return int64_t{-1};
  };
  const int64_t pages = count("pages_in_use");
  CHECK(holder("LOCK", "name").type == Reply::kInteger);
  CHECK(holder("SET", "key", std::string(100'000, 'v')).ok());
  CHECK(count("lock_entries") == 1);
  CHECK(count("pages_in_use") > pages + 10);
  CHECK(holder("UNLOCK", "name").integer == 1);
  CHECK(holder("DEL", "key").integer == 1);
  CHECK(server.Command("FLUSHALL").ok());
  CHECK_FALSE(server.Command("VACUUM").is_error());
  CHECK(count("lock_entries") == 0);
  CHECK(count("pages_in_use") == pages);
  for (const char* name : {"dead_slots", "lwlocks", "armed_changes", "operations", "commits",
                           "reserved_pages", "reserved_log_bytes", "garbage_pages"}) {
    CHECK_MESSAGE(count(name) == 0, name);
  }
}

TEST_CASE("TIME is the wall clock") {
  Server server;
  const Reply time = server.Command("TIME");
  REQUIRE(time.elements.size() == 2);
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  CHECK(std::abs(std::stoll(time.elements[0].text) - now) <= 5);
  CHECK(std::stoll(time.elements[1].text) < 1'000'000);
}

TEST_CASE("CONFIG GET, SET and their errors") {
  Server server;
  CHECK(server.Command("CONFIG", "GET", "maxclients").elements.size() == 2);
  CHECK(server.Command("CONFIG", "GET", "save", "appendonly").elements.size() == 4);
  CHECK(server.Command("CONFIG", "GET", "nosuch").elements.empty());
  CHECK(
      server.Command("CONFIG", "SET", "client_idle_timeout", "100s", "max_value_size", "1mb").ok());
  CHECK(server.Command("CONFIG", "GET", "timeout").elements.at(1).text == "100");
  CHECK(server.Command("CONFIG", "SET", "timeout", "50", "max_value_size", "x")
            .is_error("ERR CONFIG SET failed (possibly related to argument 'max_value_size')"));
  CHECK(server.Command("CONFIG", "GET", "timeout").elements.at(1).text == "100");
  CHECK(server.Command("CONFIG", "SET", "nosuch", "1").text ==
        "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'");
  CHECK(server.Command("CONFIG", "SET", "a", "b", "c").text == "ERR syntax error");
  CHECK(server.Command("CONFIG", "REWRITE").text ==
        "ERR The server is running without a config file");
  CHECK(server.Command("SET", "k", std::string(2'000'000, 'v')).text ==
        "ERR Protocol error: invalid bulk length");
}

TEST_CASE("CONFIG SET is in force in every connection when it answers") {
  Server server;
  Connection other = server.Connect();
  CHECK(other("PING").text == "PONG");
  for (int round = 0; round < 20; ++round) {
    const std::string limit = std::to_string(100 + round);
    CHECK(server.Command("CONFIG", "SET", "max_key_size", limit).ok());
    CHECK(other("SET", std::string(static_cast<size_t>(100 + round), 'k'), "v").ok());
    CHECK(other("SET", std::string(static_cast<size_t>(101 + round), 'k'), "v").is_error());
  }
}

TEST_CASE("COMMAND describes the commands") {
  Server server;
  const int64_t count = server.Command("COMMAND", "COUNT").integer;
  CHECK(count > 50);
  CHECK(static_cast<int64_t>(server.Command("COMMAND").elements.size()) == count);
  CHECK(static_cast<int64_t>(server.Command("COMMAND", "LIST").elements.size()) == count);
  // Not all of them: replies this deep are beyond some versions of hiredis.
  const Reply docs = server.Command("COMMAND", "DOCS", "get", "nosuch", "set");
  REQUIRE(docs.elements.size() == 4);
  CHECK(docs.elements[2].text == "set");
  CHECK(docs.elements[3].elements.at(0).text == "summary");
  const Reply info = server.Command("COMMAND", "INFO", "get", "nosuch", "config|get");
  REQUIRE(info.elements.size() == 3);
  const Reply& get = info.elements[0];
  REQUIRE(get.elements.size() == 10);
  CHECK(get.elements[0].text == "get");
  CHECK(get.elements[1].integer == 2);
  CHECK(get.elements[2].elements.at(0).text == "readonly");
  CHECK(get.elements[3].integer == 1);
  CHECK(info.elements[1].nil());
  CHECK(info.elements[2].elements.at(0).text == "config|get");
  CHECK(server.Command("COMMAND", "INFO", "config").elements.at(0).elements.at(9).elements.size() ==
        5);
}

TEST_CASE("COMMAND GETKEYS and LIST FILTERBY") {
  Server server;
  const Reply keys = server.Command("COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2");
  REQUIRE(keys.elements.size() == 2);
  CHECK(keys.elements[1].text == "b");
  CHECK(server.Command("COMMAND", "GETKEYS", "COPY", "a", "b").elements.size() == 2);
  CHECK(server.Command("COMMAND", "GETKEYS", "MGET", "a", "b", "c").elements.size() == 3);
  CHECK(server.Command("COMMAND", "GETKEYS", "PING", "x").text ==
        "ERR The command has no key arguments");
  CHECK(server.Command("COMMAND", "GETKEYS", "nosuch", "x").text ==
        "ERR Invalid command specified");
  CHECK(server.Command("COMMAND", "GETKEYS", "GET", "a", "b").text ==
        "ERR Invalid number of arguments specified for command");
  CHECK(server.Command("COMMAND", "LIST", "FILTERBY", "PATTERN", "getd*").elements.size() == 1);
  CHECK(server.Command("COMMAND", "LIST", "FILTERBY", "ACLCAT", "string").elements.size() > 10);
  CHECK(server.Command("COMMAND", "LIST", "FILTERBY", "MODULE", "m").elements.empty());
  CHECK(server.Command("COMMAND", "LIST", "FILTERBY", "x", "y").text == "ERR syntax error");
}

TEST_CASE("HELP comes from the command table") {
  Server server;
  for (const char* container :
       {"ACL", "CLIENT", "COMMAND", "CONFIG", "DEBUG", "FUNCTION", "MEMORY", "SCRIPT"}) {
    CAPTURE(container);
    const Reply help = server.Command(container, "HELP");
    REQUIRE(help.elements.size() >= 3);
    CHECK(help.elements[0].text.starts_with(container));
  }
}

TEST_CASE("there are no scripts and no functions, and that is what is said") {
  Server server;
  CHECK(server.Command("FUNCTION", "LIST").elements.empty());
  CHECK(server.Command("FUNCTION", "FLUSH").ok());
  CHECK(server.Command("FUNCTION", "FLUSH", "x").text ==
        "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
  CHECK(server.Command("SCRIPT", "FLUSH", "SYNC").ok());
  CHECK(server.Command("SCRIPT", "EXISTS", "a", "b").elements.size() == 2);
  CHECK(server.Command("EVAL", "return 1", "0").is_error("ERR unknown command"));
}

TEST_CASE("SHUTDOWN stops the server in order, and NOSAVE keeps the data too") {
  Server server;
  CHECK(server.Command("SHUTDOWN", "foo").text == "ERR syntax error");
  CHECK(server.Command("SHUTDOWN", "SAVE", "NOSAVE").text == "ERR syntax error");
  CHECK(server.Command("SHUTDOWN", "ABORT").text == "ERR No shutdown in progress.");
  CHECK(server.Command("SET", "k", "v").ok());
  Connection sleeper = server.Connect();
  sleeper.SendRaw("DEBUG SLEEP 1000\r\n");
  Connection other = server.Connect();
  CHECK(other("SHUTDOWN", "NOSAVE").closed());
  CHECK(server.WaitExit() == 0);
  server.Start();
  CHECK(server.Command("GET", "k").text == "v");
}

TEST_CASE("DEBUG SLEEP keeps nobody else waiting") {
  Server server;
  Connection sleeper = server.Connect();
  CHECK(sleeper("DEBUG", "SLEEP", "0.01").ok());
  CHECK(sleeper("DEBUG", "SLEEP", "x").is_error());
  sleeper.SendRaw("DEBUG SLEEP 1000\r\n");
  CHECK(server.Command("PING").text == "PONG");
}

}  // namespace
}  // namespace warren::test
