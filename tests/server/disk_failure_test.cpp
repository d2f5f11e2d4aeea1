// What do clients see of a full disk, and of one that fails?
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <map>
#include <random>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

namespace warren::test {
namespace {

// No process of the server may write a file beyond `bytes` from now on; those forked later neither.
void LimitFiles(const Server& server, rlim_t bytes) {
  const rlimit limit{bytes, RLIM_INFINITY};
  REQUIRE(prlimit(server.pid(), RLIMIT_FSIZE, &limit, nullptr) == 0);
  for (const pid_t child : ChildrenOf(server.pid())) {
    prlimit(child, RLIMIT_FSIZE, &limit, nullptr);
  }
}

// Twenty clients that write at once, and what each key must hold by their acknowledged writes.
class Writers {
 public:
  explicit Writers(const Server& server) {
    for (int i = 0; i < 20; ++i) connections_.push_back(server.Connect());
  }

  // A write by each, all under way together. Returns how many were refused for want of space; each
  // of those must name the directory.
  int WriteOnce(const std::string& directory) {
    std::vector<std::vector<std::string>> writes;
    for (Connection& connection : connections_) {
      writes.push_back(RandomWrite());
      connection.Append(writes.back());
    }
    int refused = 0;
    for (size_t i = 0; i < connections_.size(); ++i) {
      const Reply reply = connections_[i].Receive();
      const bool no_space = reply.is_error("NOSPACE");
      if (no_space) CHECK(reply.text.find(directory) != std::string::npos);
      const bool answered = no_space || reply.ok() || reply.type == Reply::kInteger;
      CHECK_MESSAGE(answered, reply.text);
      refused += no_space ? 1 : 0;
      if (!no_space) Note(writes[i]);
    }
    return refused;
  }

  void CheckAll(Connection& connection) const {
    for (const auto& [key, value] : expected_) {
      if (connection("GET", key).text != value) FAIL_CHECK("key " << key << " is not as written");
    }
    CHECK(connection("DBSIZE").integer == static_cast<int64_t>(expected_.size()));
  }

 private:
  std::vector<std::string> RandomWrite() {
    const std::string key = "key" + std::to_string(random_() % 4000);
    const uint64_t kind = random_() % 20;
    if (kind == 0) return {"DEL", key};
    const size_t bytes = kind < 10 ? 20'000 + random_() % 60'000 : random_() % 1500;
    return {"SET", key, std::string(bytes, static_cast<char>('a' + random_() % 26))};
  }
  void Note(const std::vector<std::string>& write) {
    if (write[0] == "DEL") {
      expected_.erase(write[1]);
    } else {
      expected_[write[1]] = write[2];
    }
  }

  std::vector<Connection> connections_;
  std::mt19937_64 random_{5};
  std::map<std::string, std::string> expected_;
};

// Fills the disk, sees what that does, makes room, and sees that this is all it takes.
void FillAndMakeRoom(Server& server, const std::function<void()>& make_room) {
  Writers writers(server);
  int refused = 0;
  for (int i = 0; i < 2000 && refused < 60; ++i) refused += writers.WriteOnce(server.directory());
  CHECK(refused >= 60);
  Connection reader = server.Connect();
  writers.CheckAll(reader);
  make_room();
  CHECK(WaitUntil([&] { return writers.WriteOnce(server.directory()) == 0; }));
  for (int i = 0; i < 15; ++i) CHECK(writers.WriteOnce(server.directory()) == 0);
  writers.CheckAll(reader);
  CHECK_MESSAGE(reader("CHECKPOINT").ok(), server.log());
  server.Kill();
  server.Start();
  Connection again = server.Connect();
  writers.CheckAll(again);
}

class Mounted {
 public:
  explicit Mounted(std::string path) : path_(std::move(path)) {
    mkdir(path_.c_str(), 0700);
    mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=128m,mode=700") == 0;
  }
  ~Mounted() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;
  bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_;
};

}  // namespace

TEST_CASE("when the data file may not grow, writes say so, reads go on, and room is all it takes") {
  Server server({"--shared_buffers", "4mb"});
  LimitFiles(server, 17u << 20);
  FillAndMakeRoom(server, [&] { LimitFiles(server, RLIM_INFINITY); });
}

TEST_CASE("when the disk is full, writes say so, reads go on, and room is all it takes") {
  Server server(Server::NotStarted{}, {"--shared_buffers", "4mb", "--max_wal_size", "64mb"});
  const Mounted disk(server.directory());
  if (!disk.mounted()) {
    MESSAGE("skipped: mounting a small file system takes root");
    return;
  }
  server.Start();
  const std::string ballast = server.directory() + "/lost+found";
  WriteFile(ballast, std::string(60u << 20, 'b'));
  FillAndMakeRoom(server, [&] { CHECK(unlink(ballast.c_str()) == 0); });
  CHECK(server.Stop() == 0);
}

TEST_CASE("CHECKPOINT does not wait for a checkpoint that takes its time") {
  Server server({"--max_wal_size", "64mb", "--checkpoint_timeout", "1h"});
  Connection connection = server.Connect();
  const std::string value(60'000, 'v');
  // Log until one begins by itself, whose writes are spread over most of an hour.
  const auto has_begun = [&] {
    const Reply info = connection("INFO", "persistence");
    return info.text.find("checkpoints_log_size:0") == std::string::npos;
  };
  for (int round = 0; round < 60 && !has_begun(); ++round) {
    for (int i = 0; i < 50; ++i) connection.Append({"SET", "key" + std::to_string(i), value});
    for (int i = 0; i < 50; ++i) REQUIRE(connection.Receive().ok());
  }
  REQUIRE(has_begun());
  CHECK(connection("CHECKPOINT").ok());
  CHECK(server.LogContains("checkpoint (log size)"));
}

TEST_CASE("a log that cannot be written is an error to its clients, and the server starts over") {
  Server server;
  Connection writer = server.Connect();
  Connection bystander = server.Connect();
  CHECK(writer("SET", "filler", std::string(100'000, 'f')).ok());
  CHECK(writer("SET", "acknowledged", "1").ok());
  const pid_t postmaster = server.pid();
  // Its own writes beyond the file's first bytes fail, as on a bad disk.
  const rlimit limit{4096, RLIM_INFINITY};
  REQUIRE(prlimit(Server::BackendOf(writer), RLIMIT_FSIZE, &limit, nullptr) == 0);
  writer.Append({"GET", "acknowledged"});
  writer.Append({"SET", "unsure", "2"});
  writer.Append({"INCR", "acknowledged"});
  for (int i = 0; i < 3; ++i) {
    const Reply reply = writer.Receive();
    CHECK_MESSAGE(reply.is_error("IOERR"), reply.text);
    CHECK(reply.text.find("write-ahead log") != std::string::npos);
  }
  CHECK(writer.ClosedByServer());
  CHECK(bystander.ClosedByServer());
  CHECK(server.WaitReady());
  CHECK(server.pid() == postmaster);
  CHECK(server.LogContains("write-ahead log: it could not be written"));
  CHECK(server.LogContains("crash restart: the log was durable to"));
  Connection after = server.Connect();
  // Written anew from memory when the server started over.
  CHECK(after("GET", "unsure").text == "2");
  CHECK(after("GET", "acknowledged").text == "2");
  CHECK(after("SET", "later", "3").ok());
  server.Kill();
  server.Start();
  CHECK(server.Command("GET", "later").text == "3");
}

TEST_CASE("a log that stays unwritable ends the server with its reason, and loses nothing") {
  Server server;
  Connection writer = server.Connect();
  CHECK(writer("SET", "filler", std::string(100'000, 'f')).ok());
  CHECK(writer("SET", "acknowledged", "1").ok());
  LimitFiles(server, 4096);
  const Reply reply = writer("SET", "unsure", "2");
  CHECK_MESSAGE((reply.is_error("IOERR") || reply.closed()), reply.text);
  CHECK(server.WaitExit() == 1);
  CHECK(server.LogContains("the server cannot start over and stops"));
  server.Start();
  CHECK(server.Command("GET", "acknowledged").text == "1");
  const Reply unsure = server.Command("GET", "unsure");
  CHECK((unsure.nil() || unsure.text == "2"));
}

}  // namespace warren::test
