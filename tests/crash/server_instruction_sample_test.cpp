// Does a client that dies at any instruction of the program as it is shipped harm those who work
// beside it?
//
// The program that tells its stores keeps the compiler from moving them; this one is as it is. The
// backend is stopped in an operation (ptrace) and killed, either behind an instruction chosen by
// chance, to which it is led one by one, or a few instructions behind a time chosen by chance,
// which is quicker and comes upon sleeps and system calls more often. WARREN_TEST_SEED repeats the
// choice.
#include <fmt/format.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "doctest/doctest.h"
#include "tests/crash/live_world.h"
#include "tests/support/test_extent.h"

namespace warren::test {
namespace {

using Clock = std::chrono::steady_clock;

// While it lives, a wait of this thread ends every few milliseconds, if nothing else ends it.
class Ticker {
 public:
  Ticker() {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    REQUIRE(sigaction(SIGALRM, &action, nullptr) == 0);  // without SA_RESTART
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGALRM;
    event._sigev_un._tid = gettid();
    REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0);
    constexpr timespec kTick{.tv_sec = 0, .tv_nsec = 5'000'000};
    const itimerspec ticks{.it_interval = kTick, .it_value = kTick};
    REQUIRE(timer_settime(timer_, 0, &ticks, nullptr) == 0);
  }
  ~Ticker() { timer_delete(timer_); }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  timer_t timer_{};
};

constexpr uint64_t kAll = ~uint64_t{0};

// Lets the backend run for a time from the moment at which the operation is sent, then leads it on
// by `steps` instructions.
class StepKiller : public Killer {
 public:
  explicit StepKiller(uint64_t steps, uint64_t run_ns = 0) : steps_(steps), run_ns_(run_ns) {}

  void Take(pid_t backend, LiveClock& clock) override {
    backend_ = backend;
    REQUIRE(ptrace(PTRACE_SEIZE, backend, nullptr, nullptr) == 0);
    running_ = true;
    if (run_ns_ == 0) Interrupt(clock);
  }

  bool Lead(const std::function<bool()>& ended, LiveClock& clock) override {
    const int64_t began_ns = LiveClock::NowNs();
    while (running_ && !over_ && ran_ns_ < run_ns_) {
      PassSignalsOn();
      over_ = ended();
      ran_ns_ = static_cast<uint64_t>(LiveClock::NowNs() - began_ns);
    }
    if (over_) return false;
    if (running_) Interrupt(clock);
    const Ticker ticker;
    for (made_ = 0; made_ < steps_; ++made_) {
      if ((made_ % 64 == 0 && ended()) || !Step(ended)) break;
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
    if (running_) Stop();
    // The end of a step may have come at the same time: nobody else would take it for what it is.
    long signal = 0;
    __ptrace_peeksiginfo_args first{.off = 0, .flags = 0, .nr = 1};
    siginfo_t pending{};
    if (ptrace(PTRACE_PEEKSIGINFO, backend_, &first, &pending) > 0) {
      int status = 0;
      REQUIRE(ptrace(PTRACE_CONT, backend_, nullptr, nullptr) == 0);
      REQUIRE(waitpid(backend_, &status, 0) == backend_);
      if (WSTOPSIG(status) != SIGTRAP) signal = WSTOPSIG(status);
    }
    ptrace(PTRACE_DETACH, backend_, nullptr, signal);
  }

  uint64_t made() const { return made_; }
  uint64_t ran_ns() const { return ran_ns_; }

 private:
  void Interrupt(LiveClock& clock) {
    clock.Pause();  // it is slow from now on, and holds up the others
    Stop();
  }
  // While it runs: a signal for it, as a wake-up of one who waits for a lock, has stopped it first.
  void PassSignalsOn() {
    int status = 0;
    while (waitpid(backend_, &status, WNOHANG) == backend_ && WIFSTOPPED(status)) {
      const long signal = WSTOPSIG(status);
      REQUIRE(ptrace(PTRACE_CONT, backend_, nullptr, signal) == 0);
    }
  }
  // Wherever it is, also in a system call.
  void Stop() {
    REQUIRE(ptrace(PTRACE_INTERRUPT, backend_, nullptr, nullptr) == 0);
    for (;;) {
      int status = 0;
      while (waitpid(backend_, &status, 0) != backend_) REQUIRE(errno == EINTR);
      REQUIRE(WIFSTOPPED(status));
      if (status >> 16 == PTRACE_EVENT_STOP) break;
      // A step's end, or a signal that comes at the same time.
      const long signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
      REQUIRE(ptrace(PTRACE_CONT, backend_, nullptr, signal) == 0);
    }
    running_ = false;
  }

  // One instruction, or one signal for it. False: it waits for its client, who has all replies.
  bool Step(const std::function<bool()>& ended) {
    if (ptrace(PTRACE_SINGLESTEP, backend_, nullptr, signal_) != 0) return false;
    running_ = true;
    int status = 0;
    while (waitpid(backend_, &status, 0) != backend_) {  // the ticker came first
      if (ended()) return false;
    }
    running_ = false;
    signal_ = WIFSTOPPED(status) && WSTOPSIG(status) != SIGTRAP ? WSTOPSIG(status) : 0;
    return WIFSTOPPED(status);
  }

  uint64_t steps_, run_ns_;
  uint64_t made_ = 0, ran_ns_ = 0;
  bool over_ = false;  // it was faster
  long signal_ = 0;    // to be delivered with the next step
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

class Sample {
 public:
  explicit Sample(uint64_t seed) : random_(seed) {}

  // How long is each operation, in instructions and in time? Also the control run.
  void Learn() {
    for (const LiveOperation* operation : operations_) {
      StepKiller stepper(kAll);
      world_.Learn(*operation, &stepper);
      instructions_.push_back(stepper.made());
    }
    std::vector<std::vector<uint64_t>> times(operations_.size());
    for (int i = 0; i < 40; ++i) {
      for (size_t which = 0; which < operations_.size(); ++which) {
        StepKiller clock(0, kAll);
        world_.Learn(*operations_[which], &clock);
        times[which].push_back(clock.ran_ns());
      }
    }
    for (auto& all : times) {
      std::nth_element(all.begin(), all.begin() + 20, all.end());
      times_ns_.push_back(all[20]);
    }
  }

  // One in eight is led from the beginning on.
  void Take(std::chrono::seconds duration) {
    const auto until = Clock::now() + duration;
    for (size_t i = 0; Clock::now() < until || world_.kills() < 5; ++i) {
      const size_t which = random_() % operations_.size();
      const bool steps_only = i % 8 == 0;
      const uint64_t steps = random_() % (steps_only ? instructions_[which] : 1000);
      const uint64_t run_ns = steps_only ? 0 : 1 + random_() % times_ns_[which];
      StepKiller killer(steps, run_ns);
      (void)world_.Strike(*operations_[which], killer,
                          fmt::format("{} ns and {} instructions", run_ns, steps));
    }
  }

  LiveWorld& world() { return world_; }
  uint64_t instructions() const {
    return std::accumulate(instructions_.begin(), instructions_.end(), uint64_t{0});
  }

 private:
  LiveWorld world_;
  std::mt19937_64 random_;
  std::vector<const LiveOperation*> operations_ = Operations();
  std::vector<uint64_t> instructions_, times_ns_;  // of each
};

}  // namespace

TEST_CASE(
    "instruction sample: a client that dies at an instruction harms none of those beside it") {
  if (!MayTrace()) {
    MESSAGE("skipped: tracing is not allowed here");
    return;
  }
  const uint64_t seed = TestSeed();
  INFO("WARREN_TEST_SEED=", seed);
  Sample sample(seed);
  sample.Learn();
  sample.Take(std::chrono::seconds(FullForm() ? 300 : 15));
  LiveWorld& world = sample.world();
  world.CheckEnd();
  world.Report(fmt::format("seed {}, {} operations of {} instructions", seed, Operations().size(),
                           sample.instructions()));
  CHECK(world.waited_for() * 20 >= world.kills());
  world.CheckStalls();
}

}  // namespace warren::test
