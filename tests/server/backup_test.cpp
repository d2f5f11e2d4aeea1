// `warren backup`, `warren restore` and the archive: what comes back, up to where, and what is
// kept.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

using namespace warren::test;

namespace {

namespace fs = std::filesystem;

const std::string kLarge(1 << 20, 'x');

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// A moment with nothing else within a quarter of a second around it.
int64_t QuietMoment() {
  const auto wait_until = [](int64_t then_us) {
    REQUIRE(WaitUntil([&] { return NowUs() >= then_us; }));
  };
  wait_until(NowUs() + 250'000);
  const int64_t moment = NowUs();
  wait_until(moment + 250'000);
  return moment;
}

std::string Seconds(int64_t us) {
  char text[40];
  std::snprintf(text, sizeof text, "%lld.%06lld", static_cast<long long>(us / 1'000'000),
                static_cast<long long>(us % 1'000'000));
  return text;
}

ProgramResult Backup(const Server& server, const std::string& destination) {
  return RunWarren({"backup", "--port", std::to_string(server.port()), destination},
                   Milliseconds(60'000));
}

// One that must succeed.
void MakeBackup(const Server& server, const std::string& destination) {
  const ProgramResult result = Backup(server, destination);
  REQUIRE_MESSAGE(result.exit_code == 0, result.output);
}

ProgramResult Restore(const std::string& backup, const std::string& directory,
                      const std::vector<std::string>& options = {}) {
  std::vector<std::string> words = {"restore", backup, directory};
  words.insert(words.end(), options.begin(), options.end());
  return RunWarren(words, Milliseconds(60'000));
}

void MustRestore(const std::string& backup, const std::string& directory,
                 const std::vector<std::string>& options = {}) {
  const ProgramResult result = Restore(backup, directory, options);
  REQUIRE_MESSAGE(result.exit_code == 0, result.output);
}

// A number that the manifest has under this name.
int64_t FromManifest(const std::string& backup, const std::string& name) {
  const std::string text = ReadFile(backup + "/backup.json");
  const size_t at = text.find("\"" + name + "\": ");
  REQUIRE(at != std::string::npos);
  return std::stoll(text.substr(at + name.size() + 4));
}

// The log position up to which everything so far reaches.
std::string LogPosition(Connection& connection) {
  REQUIRE_FALSE(connection("BACKUP", "BEGIN").is_error());
  const Reply stop = connection("BACKUP", "STOP");
  REQUIRE(stop.elements.size() == 4);
  CHECK(connection("BACKUP", "END").ok());
  return std::to_string(stop.elements[1].integer);
}

// More than one log file's worth.
void FillLogFile(Server& server) {
  for (int i = 0; i < 18; ++i) REQUIRE(server.Command("SET", "filler", kLarge).ok());
}

std::vector<std::string> LogFiles(const std::string& directory) {
  std::vector<std::string> names = ListDirectory(directory);
  std::erase_if(names, [](const std::string& name) { return name.size() != 16; });
  std::sort(names.begin(), names.end());
  return names;
}

int64_t StatOf(Server& server, const std::string& name) {
  const Reply reply = server.Command("STATS", name);
  return reply.elements.size() == 2 ? reply.elements[1].integer : -1;
}

void FlipByte(const std::string& path, std::streamoff offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  REQUIRE(file.good());
  file.seekg(offset);
  const char byte = static_cast<char>(file.get());
  file.seekp(offset);
  file.put(static_cast<char>(byte ^ 1));
}

bool Mentions(const ProgramResult& result, const std::string& text) {
  return result.output.find(text) != std::string::npos;
}

// Writes its own keys, one after the other, and notes when each was acknowledged.
struct Writer {
  std::vector<int64_t> acknowledged_us;

  static std::string Value(int i) {
    return std::string(i % 10 == 0 ? 20'000 : 100, static_cast<char>('a' + i % 26));
  }
  void Run(const Server& server, int number, const std::atomic<bool>& stop) {
    Connection connection = server.Connect();
    for (int i = 0; !stop; ++i) {
      const std::string key = std::to_string(number) + ":" + std::to_string(i);
      if (!connection("SET", key, Value(i)).ok()) return;
      acknowledged_us.push_back(NowUs());
    }
  }
};

}  // namespace

TEST_CASE("a backup made while clients write has every change acknowledged before its stop") {
  Server server({"--shared_buffers", "4mb"});
  for (int i = 0; i < 30; ++i)
    REQUIRE(server.Command("SET", "big" + std::to_string(i), kLarge).ok());
  std::vector<Writer> writers(3);
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (size_t n = 0; n < writers.size(); ++n) {
    threads.emplace_back([&, n] { writers[n].Run(server, static_cast<int>(n), stop); });
  }
  const std::string backup = server.root() + "/backup";
  const ProgramResult made = Backup(server, backup);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  REQUIRE_MESSAGE(made.exit_code == 0, made.output);

  const std::string restored = server.root() + "/restored";
  MustRestore(backup, restored);
  Server copy({"--data_directory", restored});
  const int64_t start_us = FromManifest(backup, "start_us");
  const int64_t stop_us = FromManifest(backup, "stop_us");
  int during = 0;
  for (size_t n = 0; n < writers.size(); ++n) {
    const std::vector<int64_t>& acknowledged = writers[n].acknowledged_us;
    int found = 0;
    for (int i = 0;; ++i) {
      const Reply reply = copy.Command("GET", std::to_string(n) + ":" + std::to_string(i));
      if (reply.nil()) break;
      REQUIRE(reply.text == Writer::Value(i));  // whole
      ++found;
    }
    const auto needed = std::count_if(acknowledged.begin(), acknowledged.end(),
                                      [&](int64_t us) { return us <= stop_us; });
    CHECK(found >= needed);
    during +=
        static_cast<int>(std::count_if(acknowledged.begin(), acknowledged.end(), [&](int64_t us) {
          return us >= start_us && us <= stop_us;
        }));
    // And what came later is not there by accident: nothing beyond the first gap.
    CHECK(copy.Command("EXISTS", std::to_string(n) + ":" + std::to_string(found + 1)).integer == 0);
  }
  CHECK(during > 0);  // else nobody wrote meanwhile, and this shows nothing
  CHECK(copy.Command("GET", "big29").text == kLarge);
  CHECK(copy.Command("SET", "new", "life").ok());
  CHECK(copy.Stop() == 0);
}

TEST_CASE("the log that a backup needs stays until its client is gone, however it goes") {
  Server server({"--shared_buffers", "4mb"});
  Connection backup = server.Connect();
  REQUIRE_FALSE(backup("BACKUP", "BEGIN").is_error());
  CHECK(server.Command("INFO", "archive").text.find("backups_in_progress:1") != std::string::npos);
  const std::string needed = LogFiles(server.directory() + "/wal").front();
  const auto advance = [&] {
    FillLogFile(server);
    REQUIRE(server.Command("CHECKPOINT").ok());
    return LogFiles(server.directory() + "/wal").front();
  };
  CHECK(advance() == needed);
  CHECK(advance() == needed);
  SUBCASE("the connection is closed") { backup.Close(); }
  SUBCASE("its process is killed") {
    REQUIRE(kill(Server::BackendOf(backup), SIGKILL) == 0);
    CHECK(backup.ClosedByServer());
  }
  SUBCASE("BACKUP END") { CHECK(backup("BACKUP", "END").ok()); }
  SUBCASE("RESET") { CHECK(backup("RESET").text == "RESET"); }
  CHECK(WaitUntil([&] { return advance() > needed; }));
}

TEST_CASE("a killed warren backup lets the log go and leaves nothing that passes for a backup") {
  Server server({"--shared_buffers", "4mb"});
  for (int i = 0; i < 30; ++i)
    REQUIRE(server.Command("SET", "big" + std::to_string(i), kLarge).ok());
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(pipe_ends[1], STDOUT_FILENO);
    execl(WARREN_BINARY, WARREN_BINARY, "backup", "--port", std::to_string(server.port()).c_str(),
          "-", nullptr);
    _exit(127);
  }
  close(pipe_ends[1]);
  char byte = 0;
  REQUIRE(read(pipe_ends[0], &byte, 1) == 1);  // it copies, and then waits for a reader
  REQUIRE(server.Command("CHECKPOINT").ok());  // takes away what is before the backup's start
  const std::string needed = LogFiles(server.directory() + "/wal").front();
  FillLogFile(server);
  REQUIRE(server.Command("CHECKPOINT").ok());
  FillLogFile(server);
  REQUIRE(server.Command("CHECKPOINT").ok());
  CHECK(LogFiles(server.directory() + "/wal").front() == needed);
  REQUIRE(kill(pid, SIGKILL) == 0);
  REQUIRE(waitpid(pid, nullptr, 0) == pid);
  std::string stream(1, byte);
  for (char part[65536];;) {
    const ssize_t n = read(pipe_ends[0], part, sizeof part);
    if (n <= 0) break;
    stream.append(part, static_cast<size_t>(n));
  }
  close(pipe_ends[0]);
  CHECK(WaitUntil([&] {
    FillLogFile(server);
    REQUIRE(server.Command("CHECKPOINT").ok());
    return LogFiles(server.directory() + "/wal").front() > needed;
  }));
  WriteFile(server.root() + "/half.tar", stream);
  const ProgramResult refused = Restore(server.root() + "/half.tar", server.root() + "/restored");
  CHECK(refused.exit_code == 1);
  CHECK(Mentions(refused, "in the middle of a file"));
  CHECK_FALSE(fs::exists(server.root() + "/restored"));
}

TEST_CASE("an interrupted warren backup takes away what it has made") {
  Server server;
  const std::string backup = server.root() + "/backup";
  for (int i = 0; i < 30; ++i)
    REQUIRE(server.Command("SET", "big" + std::to_string(i), kLarge).ok());
  const pid_t pid = fork();
  if (pid == 0) {
    if (freopen("/dev/null", "w", stderr) == nullptr) _exit(127);
    execl(WARREN_BINARY, WARREN_BINARY, "backup", "--port", std::to_string(server.port()).c_str(),
          backup.c_str(), nullptr);
    _exit(127);
  }
  CHECK(WaitUntil([&] { return fs::exists(backup); }));
  REQUIRE(kill(pid, SIGINT) == 0);
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  // It may have been done already; half a backup is what must not be there.
  const bool complete = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  CHECK(WIFEXITED(status));
  CHECK(fs::exists(backup) == complete);
  CHECK(server.Command("PING").text == "PONG");
}

TEST_CASE("a damaged backup is refused, with the file's name, and nothing is left of the attempt") {
  Server server;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(server.Command("SET", "key" + std::to_string(i), std::string(6000, 'v')).ok());
  }
  const std::string backup = server.root() + "/backup";
  MakeBackup(server, backup);
  const std::string log_file = LogFiles(backup + "/wal").front();
  const std::string restored = server.root() + "/restored";
  std::string expected;
  SUBCASE("a page") {
    FlipByte(backup + "/base/main", 8 * 8192 + 4000);
    expected = "page 8: checksum mismatch";
  }
  SUBCASE("the log") {
    FlipByte(backup + "/wal/" + log_file, 100);
    expected = log_file + "\": checksum mismatch";
  }
  SUBCASE("a log file is missing") {
    fs::remove(backup + "/wal/" + log_file);
    expected = log_file + "\": missing";
  }
  SUBCASE("the data file is cut short") {
    fs::resize_file(backup + "/base/main", 8192 * 10);
    expected = "base/main\": it has 81920 bytes instead of";
  }
  SUBCASE("the manifest") {
    std::string manifest = ReadFile(backup + "/backup.json");
    manifest.replace(manifest.find("\"databases\": 16"), 15, "\"databases\": 17");
    WriteFile(backup + "/backup.json", manifest);
    expected = "backup.json\": checksum mismatch";
  }
  SUBCASE("the manifest is missing") {
    fs::remove(backup + "/backup.json");
    expected = "backup.json\": there is none";
  }
  SUBCASE("the manifest is no JSON") {
    WriteFile(backup + "/backup.json", "[");
    expected = "backup.json\": not a JSON object";
  }
  const ProgramResult refused = Restore(backup, restored);
  CHECK(refused.exit_code == 1);
  CHECK_MESSAGE(Mentions(refused, expected), refused.output);
  CHECK_FALSE(fs::exists(restored));
}

TEST_CASE("backup and restore never write into a directory that has something in it") {
  Server server;
  const std::string backup = server.root() + "/backup";
  MakeBackup(server, backup);
  const ProgramResult again = Backup(server, backup);
  CHECK(again.exit_code == 1);
  CHECK(Mentions(again, "not empty"));
  const ProgramResult over = Restore(backup, server.directory());
  CHECK(over.exit_code == 1);
  CHECK(Mentions(over, "not empty"));
  CHECK(server.Command("PING").text == "PONG");
  // A backup is not a data directory, and says so.
  Server none(Server::NotStarted{}, {"--data_directory", backup});
  none.Launch();
  CHECK(none.WaitExit() == 1);
}

TEST_CASE("backup says what is wrong with the server, the password or the destination") {
  Server server({"--requirepass", "secret"});
  const std::string destination = server.root() + "/backup";
  const ProgramResult denied = Backup(server, destination);
  CHECK(denied.exit_code == 1);
  CHECK(Mentions(denied, "NOAUTH"));
  CHECK_FALSE(fs::exists(destination));
  CHECK(RunWarren({"backup", "--port", std::to_string(server.port()), "--password", "secret",
                   destination})
            .exit_code == 0);
  const ProgramResult nobody = RunWarren({"backup", "--port", std::to_string(FreePort()), "x"});
  CHECK(nobody.exit_code == 1);
  CHECK(Mentions(nobody, "cannot connect"));
  const ProgramResult name = RunWarren({"backup", "--host", "example.org", "x"});
  CHECK(name.exit_code == 1);
  CHECK(Mentions(name, "is not an address"));
}

TEST_CASE("the tar stream has the files of the directory form, through a Unix socket too") {
  Server server;
  server.Stop();
  server.arguments().insert(server.arguments().end(), {"--unix_socket", server.socket_path()});
  server.Start();
  for (int i = 0; i < 100; ++i) {
    REQUIRE(server.Command("SET", "key" + std::to_string(i), std::string(5000, 'v')).ok());
  }
  const std::string directory = server.root() + "/backup";
  const std::string tar = server.root() + "/backup.tar";
  MakeBackup(server, directory);
  const std::string command = std::string(WARREN_BINARY) + " backup --unix_socket " +
                              server.socket_path() + " - 2>/dev/null >" + tar;
  REQUIRE(std::system(command.c_str()) == 0);
  const std::string unpacked = server.root() + "/unpacked";
  REQUIRE(mkdir(unpacked.c_str(), 0700) == 0);
  REQUIRE(std::system(("tar -C " + unpacked + " -xf " + tar).c_str()) == 0);
  CHECK(ReadFile(unpacked + "/base/main") == ReadFile(directory + "/base/main"));
  CHECK(FromManifest(unpacked, "page_bytes") == 8192);
  CHECK(LogFiles(unpacked + "/wal").size() == LogFiles(directory + "/wal").size());
  MustRestore(unpacked, server.root() + "/one");
  MustRestore(tar, server.root() + "/two");
  REQUIRE(std::system((std::string(WARREN_BINARY) + " restore - " + server.root() + "/three <" +
                       tar + " 2>/dev/null")
                          .c_str()) == 0);
  for (const char* name : {"/one", "/two", "/three"}) {
    Server copy({"--data_directory", server.root() + name});
    CHECK(copy.Command("DBSIZE").integer == 100);
    CHECK(copy.Command("GET", "key99").text == std::string(5000, 'v'));
  }
}

TEST_CASE(
    "a restore to a position or a time between two changes has the first and not the second") {
  TemporaryDirectory archive;
  Server server({"--wal_archive_directory", archive.path()});
  const std::string backup = server.root() + "/backup";
  REQUIRE(server.Command("SET", "before", "1").ok());
  MakeBackup(server, backup);
  const int64_t too_early = FromManifest(backup, "start_us") - 1'000'000;
  REQUIRE(server.Command("SET", "first", "1").ok());
  Connection connection = server.Connect();
  const std::string position = LogPosition(connection);
  const std::string time = Seconds(QuietMoment());
  REQUIRE(server.Command("SET", "second", "1").ok());
  FillLogFile(server);
  REQUIRE(server.Command("SET", "last", "1").ok());
  FillLogFile(server);
  CHECK(WaitUntil([&] { return LogFiles(archive.path()).size() >= 2; }));
  CHECK(server.Stop() == 0);

  const std::string restored = server.root() + "/restored";
  const auto restore = [&](std::vector<std::string> options) {
    fs::remove_all(restored);
    MustRestore(backup, restored, options);
  };
  const auto keys = [&](int first, int second, int last) {
    Server copy({"--data_directory", restored});
    CHECK(copy.Command("EXISTS", "before").integer == 1);
    CHECK(copy.Command("EXISTS", "first").integer == first);
    CHECK(copy.Command("EXISTS", "second").integer == second);
    CHECK(copy.Command("EXISTS", "last").integer == last);
    // What is behind the target never comes back, not even after a crash of the restored server.
    CHECK(copy.Command("SET", "other", "history").ok());
    copy.Kill();
    copy.Start();
    CHECK(copy.Command("EXISTS", "other").integer == 1);
    CHECK(copy.Command("EXISTS", "second").integer == second);
    CHECK(copy.Stop() == 0);
  };
  restore({});
  keys(0, 0, 0);
  restore({"--archive", archive.path(), "--to-lsn", position});
  keys(1, 0, 0);
  restore({"--archive", archive.path(), "--to-time", time});
  keys(1, 0, 0);
  restore({"--archive", archive.path()});
  keys(1, 1, 1);
  // The log directory of the server that is down has what is not in the archive yet.
  restore(
      {"--archive", archive.path(), "--archive", server.directory() + "/wal", "--to-time", time});
  keys(1, 0, 0);

  const auto refuse = [&](std::vector<std::string> options, const std::string& text) {
    fs::remove_all(restored);
    const ProgramResult refused = Restore(backup, restored, options);
    CHECK(refused.exit_code == 1);
    CHECK_MESSAGE(Mentions(refused, text), refused.output);
    CHECK_FALSE(fs::exists(restored));
  };
  refuse({"--to-lsn", position}, "behind the log at hand");
  refuse({"--to-time", time}, "behind the log at hand");
  refuse({"--archive", archive.path(), "--to-lsn", "0x1000000"}, "an older backup");
  refuse({"--archive", archive.path(), "--to-time", Seconds(too_early)}, "an older backup");
  refuse({"--archive", archive.path(), "--to-time", Seconds(NowUs() + 3'600'000'000)},
         "behind the log at hand");
  refuse({"--to-time", "yesterday"}, "is not a time");
  refuse({"--to-lsn", "0xzz"}, "is not a log position");
}

TEST_CASE("an archive goes on after restarts, and after a time without a place for it") {
  TemporaryDirectory root;
  const std::string archive = root.path() + "/archive";
  Server server({"--wal_archive_directory", archive});
  // Nothing may go while nothing can be archived.
  const std::string oldest = LogFiles(server.directory() + "/wal").front();
  FillLogFile(server);
  FillLogFile(server);
  REQUIRE(server.Command("CHECKPOINT").ok());
  CHECK(WaitUntil([&] { return StatOf(server, "wal_archive_failures") > 0; }));
  CHECK(server.LogContains("can't be archived and is kept"));
  CHECK(server.Command("INFO", "archive").text.find("archive_status:err") != std::string::npos);
  REQUIRE(server.Command("CHECKPOINT").ok());
  CHECK(LogFiles(server.directory() + "/wal").front() == oldest);

  REQUIRE(mkdir(archive.c_str(), 0700) == 0);
  CHECK(WaitUntil([&] { return LogFiles(archive).size() >= 2; }));
  CHECK(LogFiles(archive).front() == oldest);
  CHECK(server.Stop() == 0);
  server.Start();
  FillLogFile(server);
  server.Kill();
  server.Start();
  FillLogFile(server);
  const std::string info = server.Command("INFO", "archive").text;
  CHECK(info.find("archive_status:ok") != std::string::npos);
  CHECK(info.find("backups_in_progress:0") != std::string::npos);
  const size_t least = 4;
  CHECK(WaitUntil([&] { return LogFiles(archive).size() >= least; }));
  const std::vector<std::string> files = LogFiles(archive);
  for (size_t i = 0; i < files.size(); ++i) {  // none is missing
    CHECK(std::stoull(files[i], nullptr, 16) == std::stoull(files[0], nullptr, 16) + i);
    CHECK(fs::file_size(archive + "/" + files[i]) == 16u << 20);
  }
  CHECK(StatOf(server, "wal_archive_failures") == 0);
  REQUIRE(server.Command("CHECKPOINT").ok());
  CHECK(LogFiles(server.directory() + "/wal").front() > oldest);
}

TEST_CASE(
    "a log file that is not full goes into the archive after wal_archive_timeout, if it must") {
  TemporaryDirectory archive;
  Server server({"--wal_archive_directory", archive.path(), "--wal_archive_timeout", "1s"});
  const std::string backup = server.root() + "/backup";
  MakeBackup(server, backup);
  REQUIRE(server.Command("SET", "key", "value").ok());
  CHECK(WaitUntil([&] { return !LogFiles(archive.path()).empty(); }));
  MustRestore(backup, server.root() + "/restored", {"--archive", archive.path()});
  // A log that only checkpoints and fillings made longer is left alone.
  const auto quiet = [&] {
    const size_t before = LogFiles(archive.path()).size();
    REQUIRE(server.Command("CHECKPOINT").ok());
    const int64_t end_us = NowUs() + 2'500'000;
    REQUIRE(WaitUntil([&] { return NowUs() >= end_us; }));
    return LogFiles(archive.path()).size() == before;
  };
  CHECK(WaitUntil(quiet));
  Server copy({"--data_directory", server.root() + "/restored"});
  CHECK(copy.Command("GET", "key").text == "value");
}

TEST_CASE("an archive that holds another history is never overwritten") {
  TemporaryDirectory archive;
  Server server({"--wal_archive_directory", archive.path()});
  const std::string next = LogFiles(server.directory() + "/wal").front();
  WriteFile(archive.path() + "/" + next, "another history");
  FillLogFile(server);
  CHECK(server.LogContains("there already with other bytes"));
  CHECK(ReadFile(archive.path() + "/" + next) == "another history");
  // A place of its own can be given while the server runs.
  TemporaryDirectory own;
  REQUIRE(server.Command("CONFIG", "SET", "wal_archive_directory", own.path()).ok());
  CHECK(WaitUntil([&] { return !LogFiles(own.path()).empty(); }));
  CHECK(LogFiles(own.path()).front() == next);
}

TEST_CASE("the steps of a backup come in their order") {
  Server server;
  Connection connection = server.Connect();
  CHECK(connection("BACKUP", "PAGES", "0", "1").is_error("ERR pages are read between"));
  CHECK(connection("BACKUP", "STOP").is_error());
  CHECK(connection("BACKUP", "LOG", "0").is_error());
  CHECK(connection("BACKUP", "END").is_error());
  CHECK(connection("BACKUP", "BEGIN").elements.size() == 20);
  CHECK(connection("BACKUP", "BEGIN").is_error());
  CHECK(connection("BACKUP", "LOG", "0").is_error());
  CHECK(connection("BACKUP", "PAGES", "0", "0").is_error("ERR value is out of range"));
  CHECK(connection("BACKUP", "PAGES", "0", "129").is_error("ERR value is out of range"));
  CHECK(connection("BACKUP", "PAGES", "-1", "1").is_error("ERR value is out of range"));
  CHECK(connection("BACKUP", "PAGES", "0", "128").elements.at(0).text.size() % 8192 == 0);
  CHECK(connection("BACKUP", "PAGES", "1000000", "1").elements.at(0).text.empty());
  const Reply stop = connection("BACKUP", "STOP");
  REQUIRE(stop.elements.size() == 4);
  CHECK(connection("BACKUP", "LOG", "0").is_error("ERR log position 0x0 is not between"));
  CHECK(connection("BACKUP", "LOG", std::to_string(stop.elements[1].integer)).text.empty());
  CHECK(connection("BACKUP", "END").ok());
}
