#include "postmaster/pid_file.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

using namespace warren;

namespace {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char path[] = "/tmp/warren_pid_file_XXXXXX";
    REQUIRE(mkdtemp(path) != nullptr);
    path_ = path;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Exit code of `body` in a child.
template <typename Body>
int InChild(Body body) {
  const pid_t pid = fork();
  if (pid == 0) _exit(body());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const PidFileContent kContent{.pid = 4711,
                              .start_seconds = 1'700'000'000,
                              .phase = "recovering",
                              .recovery = "redo at 0x1000038, 12 %",
                              .port = 7432,
                              .unix_socket = "/tmp/a b/socket",
                              .listeners = {"127.0.0.1:7432", "[::1]:7432", "/tmp/a b/socket"},
                              .data_directory = "/var/lib/data of warren"};

}  // namespace

TEST_CASE("what was written to the lock file is read from it") {
  const PidFileContent read = ParsePidFile(FormatPidFile(kContent));
  CHECK(read.pid == kContent.pid);
  CHECK(read.start_seconds == kContent.start_seconds);
  CHECK(read.phase == kContent.phase);
  CHECK(read.recovery == kContent.recovery);
  CHECK(read.port == kContent.port);
  CHECK(read.unix_socket == kContent.unix_socket);
  CHECK(read.listeners == kContent.listeners);
  CHECK(read.data_directory == kContent.data_directory);
}

TEST_CASE("a damaged lock file is read as far as it makes sense") {
  for (const std::string text : {"", "\n\n", "pid", "pid x\nport", "unknown 7\n\xff\xfe"}) {
    CHECK(ParsePidFile(text).pid == 0);
  }
  CHECK(ParsePidFile("pid 12\ngarbage\nport 99").port == 99);
}

TEST_CASE("one process has the lock, others are told its pid, and it goes with the holder") {
  TemporaryDirectory directory;
  CHECK(InChild([&] {
          auto mine = PidFile::Acquire(directory.path());
          if (!mine.ok() || !mine->Write(kContent).ok()) return 1;
          const int other = InChild([&] {
            const auto second = PidFile::Acquire(directory.path());
            if (second.ok()) return 1;
            return second.error().message.find("pid 4711") != std::string::npos ? 0 : 2;
          });
          if (other != 0) return 10 + other;
          const auto holder = PidFile::Holder(directory.path());
          return holder.ok() && holder->has_value() && (*holder)->port == 7432 ? 0 : 3;
        }) == 0);
  // The child ended without removing the file: nobody holds it all the same.
  const auto holder = PidFile::Holder(directory.path());
  REQUIRE(holder.ok());
  CHECK(!holder->has_value());
  CHECK(PidFile::Acquire(directory.path()).ok());
}

TEST_CASE("the lock lives as long as any process that inherited it") {
  TemporaryDirectory directory;
  int hold[2];
  REQUIRE(pipe(hold) == 0);
  const pid_t parent = fork();
  if (parent == 0) {
    auto mine = PidFile::Acquire(directory.path());
    if (!mine.ok()) _exit(1);
    if (fork() == 0) {  // the orphan
      close(hold[1]);
      char byte;
      [[maybe_unused]] const ssize_t ended = read(hold[0], &byte, 1);
      _exit(0);
    }
    _exit(0);
  }
  close(hold[0]);
  int status = 0;
  waitpid(parent, &status, 0);
  REQUIRE(status == 0);
  CHECK(!PidFile::Acquire(directory.path()).ok());
  close(hold[1]);
  bool taken = false;
  for (int i = 0; i < 100 && !taken; ++i) taken = PidFile::Acquire(directory.path()).ok();
  CHECK(taken);
}

TEST_CASE("the file is gone after an orderly end, and a new one can be taken") {
  TemporaryDirectory directory;
  for (int i = 0; i < 3; ++i) {
    CHECK(PidFile::Acquire(directory.path()).ok());
    CHECK(!std::filesystem::exists(directory.path() + "/postmaster.pid"));
  }
}

TEST_CASE("a process that is no postmaster is not taken for one") {
  PidFileContent content;
  content.pid = getpid();
  CHECK(!IsPostmasterAlive(content));
  content.pid = 0;
  CHECK(!IsPostmasterAlive(content));
}
