#include "bench/ipc/processes.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/ipc/pinning.h"
#include "bench/ipc/shared_memory.h"
#include "tests/support/actors.h"

using namespace warren;
using namespace warren::ipc;

namespace {

constexpr int64_t kSecondNs = 1'000'000'000;

[[noreturn]] void WaitForEver() {
  while (true) pause();
}

}  // namespace

TEST_CASE("a team's members run at once and their use of the processor is counted") {
  const auto usage = RunTeam(3, [](Member& self) {
    self.StartTogether();  // would never end if one came after another
    self.Begin();
    const int64_t begin_ns = ReadClockNs(CLOCK_PROCESS_CPUTIME_ID);
    while (ReadClockNs(CLOCK_PROCESS_CPUTIME_ID) - begin_ns < 20'000'000) {
    }
    self.End();
  });
  REQUIRE(usage.ok());
  CHECK(usage->size() == 3);
  for (const Usage& one : *usage) {
    CHECK(one.cpu_ns >= 10'000'000);
    CHECK(one.end_ns - one.begin_ns >= 10'000'000);
  }
}

TEST_CASE("one member that fails ends its team, with its words") {
  const auto usage = RunTeam(3, [](Member& self) {
    if (self.index() == 1) Fail("number {} does not like it", self.index());
    WaitForEver();
  });
  REQUIRE_FALSE(usage.ok());
  CHECK(usage.error().message == "number 1 does not like it");
}

TEST_CASE("one member that is killed ends its team") {
  const auto usage = RunTeam(2, [](Member& self) {
    if (self.index() == 1) kill(getpid(), SIGKILL);
    WaitForEver();
  });
  REQUIRE_FALSE(usage.ok());
  CHECK(usage.error().message == "process 1 of 2 was ended by signal 9");
}

TEST_CASE("a team that takes too long is ended") {
  const int64_t begin_ns = MonotonicNs();
  const auto usage = RunTeam(
      2, [](Member&) { WaitForEver(); }, kSecondNs / 10);
  REQUIRE_FALSE(usage.ok());
  CHECK(usage.error().message == "took too long and was ended");
  CHECK(MonotonicNs() - begin_ns < 20 * kSecondNs);
}

TEST_CASE("the members of a team die with the lab") {
  SharedMemory memory(4096);
  auto* pids = memory.Allocate<std::atomic<pid_t>>(2);
  const auto both_there = [&] { return pids[0] != 0 && pids[1] != 0; };
  test::Child lab([&] {
    return RunTeam(2,
                   [&](Member& self) {
                     pids[self.index()] = getpid();
                     WaitForEver();
                   })
        .ok();
  });
  REQUIRE(test::WaitFor(both_there));
  lab.Kill();
  CHECK(lab.WasKilled());
  for (int i = 0; i < 2; ++i) {
    // Gone, or a zombie that waits for the system's first process to reap it.
    const auto gone = [&] {
      const std::string state = fmt::format("/proc/{}/stat", pids[i].load());
      FILE* file = fopen(state.c_str(), "r");
      if (file == nullptr) return true;
      char letter = 0;
      const bool read = fscanf(file, "%*d %*s %c", &letter) == 1;
      fclose(file);
      return !read || letter == 'Z' || letter == 'X';
    };
    CHECK(test::WaitFor(gone));
  }
}

TEST_CASE("more processes than processors are oversubscribed") {
  const int cpus = static_cast<int>(AllowedCpus().size());
  REQUIRE(cpus >= 1);
  CHECK_FALSE(Oversubscribed(cpus));
  CHECK(Oversubscribed(cpus + 1));
}
