// Does a client that dies at any instruction of the program as it is shipped harm those who work
// beside it?
//
// The program that tells its stores keeps the compiler from moving them; this one is as it is. The
// backend is led through an operation instruction by instruction (ptrace), and killed behind one
// chosen by chance. WARREN_TEST_SEED repeats the choice.
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "doctest/doctest.h"
#include "tests/crash/live_world.h"

namespace warren::test {
namespace {

using Clock = std::chrono::steady_clock;

bool FullForm() {
  const char* full = std::getenv("WARREN_TEST_FULL");
  return full != nullptr && std::string_view(full) == "1";
}

uint64_t Seed() {
  const char* seed = std::getenv("WARREN_TEST_SEED");
  return seed != nullptr ? std::strtoull(seed, nullptr, 10) : std::random_device{}();
}

// Leads the backend on by `steps` instructions from the moment at which the operation is sent.
class StepKiller : public Killer {
 public:
  explicit StepKiller(uint64_t steps) : steps_(steps) {}

  void Take(pid_t backend, LiveClock& clock) override {
    backend_ = backend;
    clock.Pause();  // it is slow from now on, and holds up the others
    REQUIRE(ptrace(PTRACE_SEIZE, backend, nullptr, nullptr) == 0);
    Interrupt();
  }

  bool Lead(const std::function<bool()>& ended, LiveClock& clock) override {
    for (made_ = 0; made_ < steps_; ++made_) {
      if (made_ % 64 == 0 && ended()) break;
      if (Step(ended)) continue;
      break;
    }
    if (made_ == steps_) return true;
    clock.Kill();  // nobody is killed, but nobody is held up any more
    return false;
  }

  void Kill() override {
    kill(backend_, SIGKILL);
    int status = 0;
    while (waitpid(backend_, &status, 0) == backend_ && !WIFSIGNALED(status)) {
    }
  }

  void LetGo() override {
    if (running_) Interrupt();
    ptrace(PTRACE_DETACH, backend_, nullptr, nullptr);
  }

  uint64_t made() const { return made_; }

 private:
  // Stops it, wherever it is, also in a system call.
  void Interrupt() {
    int status = 0;
    REQUIRE(ptrace(PTRACE_INTERRUPT, backend_, nullptr, nullptr) == 0);
    REQUIRE(waitpid(backend_, &status, 0) == backend_);
    REQUIRE(WIFSTOPPED(status));
    running_ = false;
  }

  // One instruction, or one signal for it. False: it waits for its client, who has all replies.
  bool Step(const std::function<bool()>& ended) {
    if (ptrace(PTRACE_SINGLESTEP, backend_, nullptr, signal_) != 0) return false;
    running_ = true;
    int status = 0;
    for (int looks = 0; waitpid(backend_, &status, WNOHANG) != backend_; ++looks) {
      if (looks % 256 == 255 && ended()) return false;
      sched_yield();
    }
    running_ = false;
    signal_ = WIFSTOPPED(status) && WSTOPSIG(status) != SIGTRAP ? WSTOPSIG(status) : 0;
    return WIFSTOPPED(status);
  }

  uint64_t steps_;
  uint64_t made_ = 0;
  long signal_ = 0;  // to be delivered with the next step
  bool running_ = false;
  pid_t backend_ = 0;
};

// Each of them, in the full form; else those whose instructions are most different.
std::vector<const LiveOperation*> Operations() {
  constexpr std::string_view kShortForm[] = {"set, another value", "set, a chain", "del, chains",
                                             "mset, splits", "begin"};
  std::vector<const LiveOperation*> chosen;
  for (const LiveOperation& operation : LiveOperations()) {
    if (FullForm() || std::ranges::count(kShortForm, operation.name) > 0) {
      chosen.push_back(&operation);
    }
  }
  return chosen;
}

// Tracing may be forbidden where the tests run.
bool MayTrace() {
  const pid_t child = fork();
  if (child == 0) {
    for (;;) pause();
  }
  const bool may = ptrace(PTRACE_SEIZE, child, nullptr, nullptr) == 0;
  kill(child, SIGKILL);
  (void)waitpid(child, nullptr, 0);
  return may;
}

}  // namespace

TEST_CASE(
    "instruction sample: a client that dies at an instruction harms none of those beside it") {
  if (!MayTrace()) {
    MESSAGE("skipped: tracing is not allowed here");
    return;
  }
  const uint64_t seed = Seed();
  INFO("WARREN_TEST_SEED=", seed);
  std::mt19937_64 random(seed);
  LiveWorld world;
  const auto operations = Operations();
  std::vector<uint64_t> instructions;
  uint64_t sum = 0;
  for (const LiveOperation* operation : operations) {
    StepKiller killer(~uint64_t{0});
    world.Learn(*operation, &killer);
    instructions.push_back(killer.made());
    sum += killer.made();
  }
  // Undisturbed, for comparison.
  for (int i = 0; i < 40; ++i) {
    for (const LiveOperation* operation : operations) world.Learn(*operation);
  }
  const auto until = Clock::now() + std::chrono::seconds(FullForm() ? 300 : 15);
  for (size_t i = 0; Clock::now() < until || world.kills() < 10; ++i) {
    const size_t which = i % operations.size();
    const uint64_t steps = random() % instructions[which];
    StepKiller killer(steps);
    (void)world.Strike(*operations[which], killer, fmt::format("instruction {}", steps));
  }
  world.CheckEnd();
  world.Report(
      fmt::format("seed {}, {} operations of {} instructions", seed, operations.size(), sum));
  CHECK(world.waited_for() * 20 >= world.kills());
  CHECK(world.longest_stall_ms() < 2000);
}

}  // namespace warren::test
