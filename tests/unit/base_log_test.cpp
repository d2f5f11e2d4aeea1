#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "tests/unit/temporary_directory.h"

#include <doctest/doctest.h>

using namespace warren;

namespace {

std::vector<std::string> Lines(const std::string& path) {
  std::vector<std::string> lines;
  std::istringstream text(*ReadWholeFile(path));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// Logs to a file of its own, and back to standard error at the end.
struct LogFile {
  explicit LogFile(log::Level level = log::Level::kDebug, log::Format format = log::Format::kText) {
    REQUIRE(log::Configure({level, format, path}).ok());
  }
  ~LogFile() {
    (void)log::Configure({});
    log::SetProcess("", kNoSlot);
  }
  TemporaryDirectory directory;
  std::string path = directory.path() + "/log";
};

}  // namespace

TEST_CASE("a text line bears time, pid, kind, slot, level and message") {
  LogFile file;
  log::SetProcess("backend", 17);
  log::Warning("{} is {}", "x", 5);
  const auto lines = Lines(file.path);
  REQUIRE(lines.size() == 1);
  const std::regex shape(
      R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC \[(\d+)\] backend 17 warning: x is 5)");
  std::smatch match;
  REQUIRE(std::regex_match(lines[0], match, shape));
  CHECK(match[1] == std::to_string(getpid()));
}

TEST_CASE("a JSON line bears the same as fields") {
  LogFile file(log::Level::kDebug, log::Format::kJson);
  log::SetProcess("postmaster", kNoSlot);
  log::Notice("a \"quoted\\\"\n\xff\xc3\xa4");
  const auto lines = Lines(file.path);
  REQUIRE(lines.size() == 1);
  const std::string rest = lines[0].substr(lines[0].find(",\"level\""));
  CHECK(rest == fmt::format(R"(,"level":"notice","kind":"postmaster","pid":{},)", getpid()) +
                    R"("message":"a \"quoted\\\"\u000a\ufffd)"
                    "\xc3\xa4\"}");
}

TEST_CASE("lines below the level are not written") {
  LogFile file(log::Level::kWarning);
  CHECK_FALSE(log::Enabled(log::Level::kNotice));
  log::Debug("no");
  log::Info("no");
  log::Notice("no");
  log::Warning("yes");
  log::Error("yes");
  CHECK(Lines(file.path).size() == 2);
}

TEST_CASE("a message with line ends stays one line") {
  LogFile file;
  log::Notice("a\nb\r\x1b[31m");
  const auto lines = Lines(file.path);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].ends_with("notice: a\\nb\\x0d\\x1b[31m"));
}

TEST_CASE("after a rename Reopen writes to a new file of the old name") {
  LogFile file;
  log::Notice("one");
  REQUIRE(rename(file.path.c_str(), (file.path + ".1").c_str()) == 0);
  log::Notice("two");
  REQUIRE(log::Reopen().ok());
  log::Notice("three");
  CHECK(Lines(file.path + ".1").size() == 2);
  CHECK(Lines(file.path).size() == 1);
}

TEST_CASE("a log file that cannot be opened leaves the former one in use") {
  LogFile file;
  const Status status = log::Configure({log::Level::kError, log::Format::kJson, "/nonexistent/x"});
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message ==
        "log file \"/nonexistent/x\": cannot open: No such file or directory");
  log::Notice("still here");
  CHECK(Lines(file.path).size() == 1);
}

TEST_CASE("lines of several processes never mix") {
  LogFile file;
  const std::string message(3000, 'm');
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      for (int n = 0; n < 200; ++n) log::Notice("{}", message);
      _exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) waitpid(child, nullptr, 0);
  const auto lines = Lines(file.path);
  CHECK(lines.size() == 800);
  CHECK(std::all_of(lines.begin(), lines.end(), [&](const std::string& line) {
    return line.ends_with("notice: " + message) && line.size() < message.size() + 80;
  }));
}

TEST_CASE("a failed check logs place, condition and message and aborts") {
  LogFile file;
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGABRT, SIG_DFL);
    CheckFailed("file.cpp", 12, "a == b", "a is 3");
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGABRT);
  const auto lines = Lines(file.path);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].ends_with("error: file.cpp:12: check failed: a == b: a is 3"));
}
