// Does a client that dies at any store or system call of any writing command harm those who work
// beside it on the same leaf, lock and log?
//
// The server must be one that tells its stores (preset `sweep`), named by WARREN_SWEEP_PROGRAM: it
// counts down and kills itself.
// WARREN_TEST_SEED repeats the choice of places; WARREN_TEST_FULL=1 takes each of them.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <random>
#include <string>

#include "doctest/doctest.h"
#include "tests/crash/live_world.h"
#include "tests/crash/store_countdown.h"
#include "tests/support/test_extent.h"

namespace warren::test {
namespace {

using Clock = std::chrono::steady_clock;

// The server's processes find it by the environment: to be made before they start.
class Countdown {
 public:
  explicit Countdown(const char* program) {
    setenv("WARREN_TEST_PROGRAM", program, 1);
    const std::string path = directory_.path() + "/countdown";
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(ftruncate(fd, sizeof(StoreCountdown)) == 0);
    void* at = mmap(nullptr, sizeof(StoreCountdown), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(at != MAP_FAILED);
    close(fd);
    shared_ = std::launder(static_cast<StoreCountdown*>(at));
    setenv("WARREN_STORE_COUNTDOWN", path.c_str(), 1);
  }
  ~Countdown() {
    unsetenv("WARREN_STORE_COUNTDOWN");
    unsetenv("WARREN_TEST_PROGRAM");
    munmap(shared_, sizeof(StoreCountdown));
  }
  StoreCountdown& operator*() { return *shared_; }

 private:
  TemporaryDirectory directory_;
  StoreCountdown* shared_;
};

// Lets the backend die before its k-th event; k = 0 only counts.
class CountdownKiller : public Killer {
 public:
  CountdownKiller(StoreCountdown& shared, uint64_t k, bool lingers, bool halves)
      : shared_(shared), k_(k), lingers_(lingers), halves_(halves) {}

  void Take(pid_t backend, LiveClock&) override {
    shared_.victim_pid = 0;
    shared_.classes = kAllEvents;
    shared_.left = static_cast<int64_t>(k_);
    shared_.halve_writes = halves_ ? 1 : 0;
    shared_.linger = lingers_ ? 1 : 0;
    shared_.counted = 0;
    shared_.dying = 0;
    shared_.victim_pid = backend;
  }
  bool Lead(const std::function<bool()>& ended, LiveClock& clock) override {
    bool over = false;
    CHECK(WaitUntil([&] {
      const auto until = Clock::now() + std::chrono::milliseconds(2);
      while (Clock::now() < until && shared_.dying == 0 && !over) over = ended();
      return shared_.dying != 0 || over;
    }));
    const bool dies = shared_.dying != 0;
    if (dies && lingers_) clock.Pause();
    return dies;
  }
  void Kill() override { shared_.linger = 0; }
  void LetGo() override { shared_.victim_pid = 0; }

 private:
  StoreCountdown& shared_;
  uint64_t k_;
  bool lingers_, halves_;
};

class Sweep {
 public:
  Sweep(const char* program, uint64_t seed) : countdown_(program), random_(seed) {}

  void Learn() {
    for (const LiveOperation& operation : LiveOperations()) {
      CountdownKiller killer(*countdown_, 0, false, false);
      world_.Learn(operation, &killer);
      events_.push_back((*countdown_).counted);
    }
  }
  // Control: the same work, nobody killed.
  void WorkUndisturbed(std::chrono::seconds duration) {
    const auto until = Clock::now() + duration;
    while (Clock::now() < until) {
      for (const LiveOperation& operation : LiveOperations()) world_.Learn(operation);
    }
  }

  // By turns, so that time is shared among the operations.
  void Sample(std::chrono::seconds duration) {
    const auto until = Clock::now() + duration;
    while (Clock::now() < until) {
      for (size_t i = 0; i < events_.size() && Clock::now() < until; ++i) {
        (void)StrikeAt(i, 1 + random_() % events_[i]);
      }
    }
  }
  // Each k until the operation ends before it, three times in a row: others change its length.
  void TakeEach() {
    for (size_t i = 0; i < events_.size(); ++i) {
      const int before = world_.kills();
      uint64_t k = 1;
      for (int ended = 0; ended < 3; ++k) ended = StrikeAt(i, k) ? 0 : ended + 1;
      MESSAGE(LiveOperations()[i].name << ": " << world_.kills() - before << " places");
    }
  }

  LiveWorld& world() { return world_; }
  uint64_t events() const {
    uint64_t sum = 0;
    for (const uint64_t count : events_) sum += count;
    return sum;
  }

 private:
  bool StrikeAt(size_t i, uint64_t k) {
    // Every fourth dies without being waited for: then the others come while it is repaired.
    CountdownKiller killer(*countdown_, k, random_() % 4 != 0, random_() % 2 == 0);
    if (++strikes_ % 64 == 0) world_.Checkpoint();  // after it pages go whole into the log
    return world_.Strike(LiveOperations()[i], killer, fmt::format("event {}", k));
  }

  Countdown countdown_;
  LiveWorld world_;
  std::vector<uint64_t> events_;  // of each operation, undisturbed
  std::mt19937_64 random_;
  uint64_t strikes_ = 0;
};

}  // namespace

TEST_CASE("live sweep: the table of operations has each command that writes") {
  Server server;
  Connection connection = server.Connect();
  for (const Reply& name : connection("COMMAND", "LIST", "FILTERBY", "ACLCAT", "write").elements) {
    const bool swept = std::ranges::any_of(LiveOperations(), [&](const LiveOperation& operation) {
      const std::vector<LiveWords> commands = ParseCommands(operation.commands);
      return std::ranges::any_of(commands, [&](const LiveWords& words) {
        return std::ranges::equal(words[0], name.text, [](char a, char b) {
          return std::tolower(static_cast<unsigned char>(a)) == b;
        });
      });
    });
    const bool excused = std::ranges::count(CommandsNotSwept(), name.text, &NotSwept::command) > 0;
    CHECK_MESSAGE(swept != excused, name.text);
  }
}

TEST_CASE(
    "live sweep: a client that dies at a store or system call harms none of those beside it") {
  const char* program = std::getenv("WARREN_SWEEP_PROGRAM");
  if (program == nullptr) {
    MESSAGE("skipped: WARREN_SWEEP_PROGRAM does not name a server of the preset `sweep`");
    return;
  }
  const uint64_t seed = TestSeed();
  INFO("WARREN_TEST_SEED=", seed);
  Sweep sweep(program, seed);
  sweep.Learn();
  sweep.WorkUndisturbed(std::chrono::seconds(FullForm() ? 20 : 3));
  if (FullForm()) {
    sweep.TakeEach();
  } else {
    sweep.Sample(std::chrono::seconds(20));
  }
  LiveWorld& world = sweep.world();
  world.CheckEnd();
  world.Report(fmt::format("seed {}, {} operations of {} events", seed, LiveOperations().size(),
                           sweep.events()));
  CHECK(world.kills() >= 50);
  // Otherwise the deaths meant nothing to anybody.
  CHECK(world.waited_for() * 10 >= world.kills());
  world.CheckStalls();
}

}  // namespace warren::test
