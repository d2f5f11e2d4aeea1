#include "base/process_title.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

using namespace warren;

namespace {

// What the kernel shows, without the padding at its end.
std::string CommandLine() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  std::string line = text.str();
  while (!line.empty() && line.back() == '\0') line.pop_back();
  return line;
}

// Runs `body` in a child with the true argv, which a test case is not given: its strings lie right
// before the environment's.
int InChild(int (*body)(int argc, char** argv)) {
  const pid_t pid = fork();
  if (pid == 0) {
    static char* argv[64];
    int argc = 0;
    char* at = environ[0] - (CommandLine().size() + 1);
    for (; at < environ[0] && argc < 63; at += std::strlen(at) + 1) argv[argc++] = at;
    _exit(body(argc, argv));
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("the kernel shows title and activity, and nothing of what stood there before") {
  CHECK(InChild([](int argc, char** argv) {
          InitProcessTitle(argc, argv);
          SetProcessTitle("backend 127.0.0.1:5123 db0");
          if (CommandLine() != "warren: backend 127.0.0.1:5123 db0") return 1;
          SetProcessTitleActivity("incrbyfloat");
          if (CommandLine() != "warren: backend 127.0.0.1:5123 db0 incrbyfloat") return 2;
          SetProcessTitleActivity("set");
          if (CommandLine() != "warren: backend 127.0.0.1:5123 db0 set") return 3;
          SetProcessTitle("x");
          return CommandLine() == "warren: x" ? 0 : 4;
        }) == 0);
}

TEST_CASE("the environment survives, and a title too long for its place is cut") {
  CHECK(InChild([](int argc, char** argv) {
          const std::string path = getenv("PATH") == nullptr ? "" : getenv("PATH");
          InitProcessTitle(argc, argv);
          SetProcessTitle(std::string(1 << 20, 'x'));
          SetProcessTitleActivity("activity");
          if (!CommandLine().starts_with("warren: xxx")) return 1;
          if (path != (getenv("PATH") == nullptr ? "" : getenv("PATH"))) return 2;
          setenv("WARREN_TEST", "1", 1);
          return std::string(getenv("WARREN_TEST")) == "1" ? 0 : 3;
        }) == 0);
}
