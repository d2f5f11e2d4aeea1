// Does a client that dies at any store or system call of any writing command harm those who work
// beside it on the same leaf, lock and log? Does an auxiliary process that dies in its round?
// And would it be noticed if a step of the repair were missing?
//
// The server must be one that tells its stores (preset `sweep`), named by WARREN_SWEEP_PROGRAM: it
// counts down and kills itself.
// WARREN_TEST_SEED repeats the choice of places; WARREN_TEST_FULL=1 takes each of the commands'.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <new>
#include <random>
#include <span>
#include <string>
#include <vector>

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
  Sweep(const char* program, uint64_t seed,
        std::span<const LiveOperation> operations = LiveOperations())
      : operations_(operations), countdown_(program), random_(seed) {}

  void Learn() {
    for (const LiveOperation& operation : operations_) {
      CountdownKiller killer(*countdown_, 0, false, false);
      world_.Learn(operation, &killer);
      events_.push_back((*countdown_).counted);
    }
  }
  // Control: the same work, nobody killed.
  void WorkUndisturbed(std::chrono::seconds duration) {
    const auto until = Clock::now() + duration;
    while (Clock::now() < until) {
      for (const LiveOperation& operation : operations_) world_.Learn(operation);
    }
  }

  // By turns, so that time is shared among the operations.
  void Sample(std::chrono::milliseconds duration) {
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
      MESSAGE(operations_[i].name << ": " << world_.kills() - before << " places");
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
    return world_.Strike(operations_[i], killer, fmt::format("event {}", k));
  }

  std::span<const LiveOperation> operations_;
  Countdown countdown_;
  LiveWorld world_;
  std::vector<uint64_t> events_;  // of each operation, undisturbed
  std::mt19937_64 random_;
  uint64_t strikes_ = 0;
};

// The same with auxiliary processes. One that dies again soon after its start is started again ever
// later, so each server lives for a few deaths only.
class RoundSweep {
 public:
  RoundSweep(const char* program, uint64_t seed) : countdown_(program), random_(seed) {}

  void Sample(std::chrono::seconds duration) {
    const auto until = Clock::now() + duration;
    while (Clock::now() < until) OneServer();
  }
  std::string text() const {
    return fmt::format("{} servers, kills: {}; at {} of them somebody waited for the victim",
                       servers_, fmt::join(kills_of_, ", "), waited_for_);
  }
  int kills() const {
    int sum = 0;
    for (const auto& [process, kills] : kills_of_) sum += kills;
    return sum;
  }
  bool each_killed() const {
    return std::ranges::all_of(kills_of_, [](const auto& kills) { return kills.second > 0; });
  }

 private:
  static constexpr int kDeathsOfEach = 4;

  void OneServer() {
    LiveWorld world;
    std::vector<uint64_t> events;
    for (const LiveRound& round : LiveRounds()) {
      CountdownKiller killer(*countdown_, 0, false, false);
      world.LearnRound(round, killer);
      events.push_back((*countdown_).counted);
    }
    for (int i = 0; i < kDeathsOfEach; ++i) {
      for (size_t which = 0; which < events.size(); ++which) {
        const uint64_t k = 1 + random_() % events[which];
        CountdownKiller killer(*countdown_, k, random_() % 4 != 0, random_() % 2 == 0);
        const bool dies =
            world.StrikeInRound(LiveRounds()[which], killer, fmt::format("event {}", k));
        kills_of_[LiveRounds()[which].process] += dies ? 1 : 0;
      }
    }
    world.CheckEnd();
    world.CheckStalls();
    ++servers_;
    waited_for_ += world.waited_for();
  }

  Countdown countdown_;
  std::mt19937_64 random_;
  std::map<std::string_view, int> kills_of_;
  int servers_ = 0, waited_for_ = 0;
};

const char* SweepProgram() {
  const char* program = std::getenv("WARREN_SWEEP_PROGRAM");
  if (program == nullptr) {
    MESSAGE("skipped: WARREN_SWEEP_PROGRAM does not name a server of the preset `sweep`");
  }
  return program;
}

constexpr const char* kOneOperation = "WARREN_LIVE_OPERATION";

// This program once more, with a server that has the bug (none if it is empty).
ProgramResult StrikeWithBug(const std::string& bug, const std::string& operation) {
  setenv("WARREN_TEST_PROGRAM", std::filesystem::read_symlink("/proc/self/exe").c_str(), 1);
  setenv("WARREN_SEEDED_BUG", bug.c_str(), 1);
  setenv(kOneOperation, operation.c_str(), 1);
  const ProgramResult result = RunWarren(
      {"--test-case=live sweep: one operation again and again", "--no-skip", "--abort-after=1"},
      std::chrono::seconds(90));
  unsetenv(kOneOperation);
  unsetenv("WARREN_SEEDED_BUG");
  unsetenv("WARREN_TEST_PROGRAM");
  return result;
}

struct Mutant {
  const char* bug;
  const char* operation;
};

constexpr Mutant kMutants[] = {
    {"commit_not_finished", "multi"},
    {"change_left_as_it_is", "mset, splits"},
    {"reserve_stays", "multi"},
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
  const char* program = SweepProgram();
  if (program == nullptr) return;
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

TEST_CASE("live sweep: an auxiliary process that dies in its round disconnects nobody") {
  const char* program = SweepProgram();
  if (program == nullptr) return;
  const uint64_t seed = TestSeed();
  INFO("WARREN_TEST_SEED=", seed);
  RoundSweep sweep(program, seed);
  sweep.Sample(std::chrono::seconds(FullForm() ? 180 : 8));
  MESSAGE("seed " << seed << ", " << sweep.text());
  CHECK(sweep.kills() >= 10);
  CHECK(sweep.each_killed());
}

// For the mutants, who run it in a process of its own.
TEST_CASE("live sweep: one operation again and again" * doctest::skip()) {
  const char* program = SweepProgram();
  const char* name = std::getenv(kOneOperation);
  REQUIRE(program != nullptr);
  REQUIRE(name != nullptr);
  const auto operation = std::ranges::find(LiveOperations(), name, &LiveOperation::name);
  REQUIRE(operation != LiveOperations().end());
  Sweep sweep(program, TestSeed(), {operation, 1});
  sweep.Learn();
  // Often: what a dead process has left in its slot may be gone with the slot's next one.
  for (int i = 0; i < 10; ++i) {
    sweep.Sample(std::chrono::milliseconds(300));
    sweep.world().CheckStore();
  }
  sweep.world().CheckEnd();
}

TEST_CASE("live sweep: a step that the repair leaves out is noticed by those beside the dead one") {
  if (SweepProgram() == nullptr) return;
  // It takes a bug to fail.
  const ProgramResult control = StrikeWithBug("", kMutants[0].operation);
  CHECK_MESSAGE(control.exit_code == 0, control.output);
  for (const Mutant& mutant : kMutants) {
    const ProgramResult result = StrikeWithBug(mutant.bug, mutant.operation);
    // A failed check, not a test that came to no end or didn't begin.
    CHECK_MESSAGE(result.exit_code == 1, std::string(mutant.bug) << ": " << result.output);
    CHECK_MESSAGE(result.output.find("ERROR") != std::string::npos, std::string(mutant.bug));
  }
}

}  // namespace warren::test
