// What can be seen of a data directory and of a running store: check, CHECK, waldump, status, INFO.
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

using namespace warren::test;

namespace {

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

void FlipByte(const std::string& path, std::streamoff offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset);
  const int byte = file.get();
  file.seekp(offset);
  file.put(static_cast<char>(byte ^ 0x10));
}

// The value behind a name in a reply that is a map.
const Reply& Field(const Reply& map, std::string_view name) {
  for (size_t i = 0; i + 1 < map.elements.size(); i += 2) {
    if (map.elements[i].text == name) return map.elements[i + 1];
  }
  FAIL("no field " << std::string(name));
  return map;
}

std::string InfoField(Server& server, const std::string& name) {
  std::istringstream lines(server.Command("INFO", "persistence").text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + ":"))
      return line.substr(name.size() + 1, line.size() - name.size() - 2);
  }
  return "(missing)";
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

ProgramResult WalDump(const Server& server, std::vector<std::string> options) {
  options.insert(options.begin(), {"waldump", server.directory()});
  return RunWarren(options);
}

}  // namespace

TEST_CASE("check exits with 0, 1 and 2, and refuses the directory of a running server") {
  Server server;
  for (int i = 0; i < 300; ++i) {
    CHECK(server.Command("SET", "key" + std::to_string(i), std::string(500, 'v')).ok());
  }
  ProgramResult check = RunWarren({"check", server.directory()});
  CHECK(check.exit_code == 2);
  CHECK(Contains(check.output, "pid " + std::to_string(server.pid())));
  CHECK(Contains(check.output, "CHECK"));
  server.Kill();
  check = RunWarren({"check", server.directory()});
  CHECK(check.exit_code == 0);
  CHECK(Contains(check.output, "not shut down cleanly"));
  CHECK(Contains(check.output, "300 keys in 1 databases"));
  CHECK(Contains(check.output, "no faults"));
  server.Start();
  CHECK(server.Stop() == 0);
  FlipByte(server.directory() + "/base/main", 9 * 8192 + 100);
  check = RunWarren({"check", "--data_directory", server.directory()});
  CHECK(check.exit_code == 1);
  CHECK(Contains(check.output, "fault: data file \"base/main\" page 9: checksum mismatch"));
  CHECK(Contains(check.output, "(offset 73728)"));
  CHECK(RunWarren({"check", server.root()}).exit_code == 2);
  CHECK(RunWarren({"check", "--nonsense"}).exit_code == 2);
}

TEST_CASE("CHECK beside clients that write, delete and flush finds no fault") {
  Server server({"--shared_buffers", "2mb"});
  std::atomic<bool> over = false;
  std::vector<std::thread> clients;
  for (int n = 0; n < 3; ++n) {
    clients.emplace_back([&, n] {
      Connection client = server.Connect();
      for (int i = 0; !over; ++i) {
        const std::string key = "key" + std::to_string(i * 7919 % 3000) + ":" + std::to_string(n);
        const size_t bytes = i % 50 == 0 ? 20'000 : 200;
        if (i / 3000 % 2 == 0) {
          client("SET", key, std::string(bytes, 'v'));
        } else {
          client("DEL", key);
        }
        if (n == 0 && i % 9000 == 8999) client("FLUSHDB");
        if (n == 1 && i % 5000 == 4999) client("CHECKPOINT");
      }
    });
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(4);
  int checks = 0;
  while (std::chrono::steady_clock::now() < end) {
    const Reply reply = server.Command("CHECK");
    REQUIRE(reply.type == Reply::kArray);
    ++checks;
    for (const Reply& fault : Field(reply, "faults").elements) FAIL_CHECK(fault.text);
    CHECK(Field(reply, "notes").elements.empty());
    CHECK(Field(reply, "pages").integer >= 64);
  }
  over = true;
  for (std::thread& client : clients) client.join();
  CHECK(checks > 1);
  // Vacuum may still be at work.
  Reply at_rest;
  CHECK(WaitUntil([&] {
    at_rest = server.Command("CHECK");
    return Field(at_rest, "complete").integer == 1;
  }));
  CHECK(Field(at_rest, "keys").integer == server.Command("DBSIZE").integer);
  CHECK(server.LogContains("check: 0 faults"));
  CHECK(server.Stop() == 0);
  CHECK(RunWarren({"check", server.directory()}).exit_code == 0);
}

TEST_CASE("CHECK names a page that was damaged in the file, and the log says it, too") {
  Server server;
  for (int i = 0; i < 300; ++i) {
    CHECK(server.Command("SET", "key" + std::to_string(i), std::string(500, 'v')).ok());
  }
  CHECK(server.Command("CHECKPOINT").ok());
  FlipByte(server.directory() + "/base/main", 9 * 8192 + 100);
  const Reply reply = server.Command("CHECK");
  const Reply& faults = Field(reply, "faults");
  REQUIRE(faults.elements.size() == 1);
  CHECK(Contains(faults.elements[0].text, "data file \"base/main\" page 9: checksum mismatch"));
  CHECK(server.LogContains("check: data file \"base/main\" page 9"));
  FlipByte(server.directory() + "/warren.control", 33);
  const Reply control = server.Command("CHECK");
  CHECK(Field(control, "faults").elements.size() == 2);
}

TEST_CASE("waldump prints records one a line and filters them by position, type, page and key") {
  Server server;
  CHECK(server.Command("SET", "apple", "1").ok());
  CHECK(server.Command("SET", "banana\n", "22").ok());
  CHECK(server.Command("DEL", "apple").integer == 1);
  CHECK(server.Stop() == 0);
  const ProgramResult all = WalDump(server, {});
  CHECK(all.exit_code == 0);
  CHECK(Contains(all.output, "0x1000000 56 bytes, start 1: segment start"));
  CHECK(Contains(all.output, "key \"banana\\x0a\", value of 2 bytes"));
  CHECK(Contains(all.output, "checkpoint, "));
  CHECK(Contains(all.output, "the log ends there: "));
  const auto puts = Lines(WalDump(server, {"--type", "leaf_put"}).output);
  REQUIRE(puts.size() == 3);
  CHECK(Contains(puts[0], ": leaf put, database 0, leaf "));
  CHECK(Contains(puts[0], "key \"apple\""));
  // An erased key is known from its leaf, and so found like one that was put.
  const auto apples = Lines(WalDump(server, {"--key", "app*"}).output);
  REQUIRE(apples.size() == 3);
  CHECK(Contains(apples[1], "leaf erase"));
  CHECK(Lines(WalDump(server, {"--key", "cherry*"}).output).size() == 1);
  const std::string second = puts[1].substr(0, puts[1].find(' '));
  const auto from = Lines(WalDump(server, {"--start", second, "--type", "leaf put"}).output);
  REQUIRE(from.size() == 2);
  CHECK(from[0] == puts[1]);
  const auto until = Lines(WalDump(server, {"--end", second, "--type", "leaf put"}).output);
  REQUIRE(until.size() == 2);
  CHECK(until[0] == puts[0]);
  CHECK(Contains(until[1], "as --end says"));
  CHECK(Lines(WalDump(server, {"--page", "2", "--type", "create root"}).output).size() == 2);
  CHECK(Lines(WalDump(server, {"--page", "50"}).output).size() == 1);
}

TEST_CASE("waldump says what is wrong with its arguments") {
  Server server;
  const auto error = [&](std::vector<std::string> options) {
    const ProgramResult result = WalDump(server, std::move(options));
    CHECK(result.exit_code == 1);
    return result.output;
  };
  CHECK(Contains(error({"--start", "12"}), "\"12\" is no log position, one looks like 0x1000000"));
  CHECK(Contains(error({"--start", "0x9000000", "--end", "0x1000000"}), "lies before --start"));
  CHECK(Contains(error({"--start", "0x99000000"}), "the log has no segment"));
  CHECK(Contains(error({"--type", "dance"}), "there is no \"dance\", there are: pad"));
  CHECK(Contains(error({"--page", "x"}), "\"x\" is no page number"));
  CHECK(RunWarren({"waldump", server.root()}).exit_code == 1);
}

TEST_CASE("status says how far recovery is while it lasts") {
  Server server;
  Connection client = server.Connect();
  const std::string value(3000, 'v');
  for (int i = 0; i < 1000; ++i) client.Append({"SET", "key" + std::to_string(i), value});
  for (int i = 0; i < 1000; ++i) REQUIRE(client.Receive().ok());
  client.Close();
  server.Kill();
  server.Launch();
  const std::string pid_file = server.directory() + "/postmaster.pid";
  REQUIRE(WaitUntil([&] { return Contains(ReadFile(pid_file), "phase recovering"); }));
  server.Signal(SIGSTOP);  // so that it stays as it is
  const std::string seen = RunWarren({"status", server.directory()}).output;
  server.Signal(SIGCONT);
  CHECK(Contains(seen, "phase:          recovering"));
  CHECK(Contains(seen, "recovery:       redo "));
  CHECK(server.WaitReady());
  CHECK(server.LogContains("redo: "));
  const ProgramResult status = RunWarren({"status", server.directory()});
  CHECK(Contains(status.output, "phase:          running"));
  CHECK_FALSE(Contains(status.output, "recovery:"));
}

TEST_CASE("INFO's persistence section follows checkpoints and the log") {
  Server server;
  CHECK(InfoField(server, "loading") == "0");
  CHECK(InfoField(server, "redo_unreadable_pages") == "0");
  CHECK(Field(server.Command("CHECK"), "redo_unreadable_pages").integer == 0);
  CHECK(InfoField(server, "aof_enabled") == "1");
  CHECK(InfoField(server, "rdb_changes_since_last_save") == "0");
  CHECK(InfoField(server, "rdb_last_bgsave_time_sec") == "-1");
  const std::string before = InfoField(server, "wal_insert_lsn");
  CHECK(server.Command("SET", "a", "1").ok());
  CHECK(server.Command("SET", "b", "1").ok());
  CHECK(std::stoi(InfoField(server, "rdb_changes_since_last_save")) >= 2);
  CHECK(InfoField(server, "wal_insert_lsn") != before);
  CHECK(InfoField(server, "wal_flush_lsn") == InfoField(server, "wal_insert_lsn"));
  CHECK(InfoField(server, "aof_buffer_length") == "0");
  CHECK(server.Command("CHECKPOINT").ok());
  CHECK(InfoField(server, "rdb_changes_since_last_save") == "0");
  CHECK(InfoField(server, "rdb_last_bgsave_status") == "ok");
  CHECK(InfoField(server, "rdb_last_bgsave_time_sec") == "0");
  CHECK(InfoField(server, "checkpoints_requested") == "1");
  CHECK(InfoField(server, "rdb_saves") == "1");
  CHECK(InfoField(server, "rdb_last_save_time") ==
        std::to_string(server.Command("LASTSAVE").integer));
  CHECK(InfoField(server, "wal_redo_lsn") != "0x1000000");
  CHECK(server.Command("CONFIG", "RESETSTAT").ok());
  CHECK(InfoField(server, "rdb_changes_since_last_save") == "0");
}
