// Moving the code that is running.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include "postmaster/program_text.h"

using namespace warren;

namespace {

constexpr int kInHugePages = 0, kNotMoved = 1, kNotSupported = 2;

// What the kernel says of the mapping that this function's code is in.
bool CodeIsInHugePages() {
  const auto address = reinterpret_cast<uintptr_t>(&CodeIsInHugePages);
  std::ifstream smaps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long begin = 0, end = 0, kib = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) == 2) {
      here = begin <= address && address < end;
    } else if (here && std::sscanf(line.c_str(), "AnonHugePages: %lu", &kib) == 1) {
      return kib > 0;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("a program goes on after its code was moved to huge pages, and where it can't be moved") {
  const pid_t pid = fork();
  if (pid == 0) {
    const Result<size_t> moved = MoveProgramTextToHugePages();
    if (!moved.ok()) _exit(CodeIsInHugePages() ? kNotMoved : kNotSupported);
    _exit(CodeIsInHugePages() ? kInHugePages : kNotMoved);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNotSupported) {
    MESSAGE("this program or this machine does not have it: the code stayed where it was");
  } else {
    CHECK(WEXITSTATUS(status) == kInHugePages);
  }
}
