// Does a death at any instruction cost nobody else anything, once it is repaired in place?
//
// The release code as it is, without points in it: a process is led through a change instruction by
// instruction, and killed behind one that was chosen by chance, while others change the same leaf.
// WARREN_TEST_SEED repeats the choice.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/crash/storage_repair_world.h"

namespace warren::test {
namespace {

constexpr int kKinds = 5;
constexpr int kKeys = 400;
constexpr int kOthers = 2;

std::string KeyOf(int i) { return fmt::format("key{:05}", i); }

// One change by the victim, of its own keys: those that are odd.
void MakeChange(int kind, int key, int number) {
  const std::string name = KeyOf(key * 2 + 1);
  switch (kind) {
    case 0:
      return Put(name, fmt::format("value {}", number));
    case 1:
      return Put(name, std::string(static_cast<size_t>(50 + number % 900), 'm'));
    case 2:
      return (void)Erase(name);
    case 3:
      return Put(name, std::string(static_cast<size_t>(9000 + number % 9000), 'l'));
    default:
      Put(name, "durable");
      return MustSucceed(Wal::FlushAll());
  }
}

// The other ones: even keys, always the newest number, so that a lost change shows.
bool WorkBeside(Stage& stage, SlotIndex slot) {
  StoreWorld::BecomeProcess(slot);
  std::mt19937 random(slot);
  std::vector<std::string> mine(kKeys);
  bool right = true;
  for (int number = 0; stage.stop.load() == 0 && right; ++number) {
    const int i = static_cast<int>(random() % (kKeys / kOthers)) * kOthers +
                  static_cast<int>(slot - kWaiterSlot);
    const std::string key = KeyOf(2 * i);
    std::string& last = mine[static_cast<size_t>(i)];
    right = last.empty() || Get(key) == last;
    last = fmt::format("{}:{}{}", slot, number, std::string(random() % 300, 'o'));
    Put(key, last);
    if (number % 16 == 0) MustSucceed(Wal::FlushAll());
    stage.changes.fetch_add(1);
  }
  StoreWorld::LeaveProcess(slot);
  return right;
}

// Leads the child on by up to `steps` instructions, then kills it. False: it had come to its end.
bool StepAndKill(pid_t child, uint64_t steps) {
  int status = 0;
  for (uint64_t step = 0; step < steps; ++step) {
    if (ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) break;
    if (waitpid(child, &status, 0) != child) return false;
    if (WIFEXITED(status)) return false;
  }
  kill(child, SIGKILL);
  while (waitpid(child, &status, 0) == child && !WIFSIGNALED(status) && !WIFEXITED(status)) {
  }
  return WIFSIGNALED(status);
}

// A child that stops before its change, and is traced; 0: tracing is not allowed here.
pid_t StartTraced(int kind, int key, int number) {
  const pid_t child = fork();
  if (child == 0) {
    StoreWorld::BecomeProcess(kVictimSlot);
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(7);
    raise(SIGSTOP);
    MakeChange(kind, key, number);
    StoreWorld::LeaveProcess(kVictimSlot);
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSTOPPED(status) ? child : 0;
}

struct Tally {
  int deaths = 0, held = 0, taken_back = 0, finished = 0;
};

void Count(const DeathRepair& done, Tally& tally) {
  ++tally.deaths;
  if (done.held_locks) ++tally.held;
  if (done.change == ChangeRepair::kTakenBack) ++tally.taken_back;
  if (done.change == ChangeRepair::kFinished) ++tally.finished;
}

}  // namespace

TEST_CASE("a process killed at any instruction of a change harms nobody once it is repaired") {
  const uint64_t seed = TestSeed();
  INFO("WARREN_TEST_SEED=", seed);
  std::mt19937_64 random(seed);
  StoreWorld world(64, 4);
  for (int i = 0; i < 2 * kKeys; ++i) Put(KeyOf(i), std::string(200, 'v'));
  SharedRegion region(4096);
  Stage& stage = *region.Allocate<Stage>();
  std::vector<std::unique_ptr<Child>> others;
  for (SlotIndex slot = kWaiterSlot; slot < kWaiterSlot + kOthers; ++slot) {
    others.push_back(std::make_unique<Child>([&, slot] { return WorkBeside(stage, slot); }));
  }
  // How many instructions a change of each kind takes, as far as they have been seen.
  uint64_t longest[kKinds] = {4000, 4000, 4000, 4000, 4000};
  Tally tally;
  const int64_t until_ns = MonotonicNs() + (FullForm() ? 60 : 6) * int64_t{1'000'000'000};
  for (int number = 0; MonotonicNs() < until_ns; ++number) {
    const int kind = static_cast<int>(random() % kKinds);
    const pid_t child = StartTraced(kind, static_cast<int>(random() % kKeys), number);
    if (child == 0) {
      MESSAGE("skipped: ptrace is not allowed here");
      break;
    }
    if (!StepAndKill(child, random() % longest[kind])) {
      continue;  // it made its change
    }
    longest[kind] += longest[kind] / 64;
    Segment::Procs()[kVictimSlot].life = ProcLife::kDead;
    const std::optional<std::string> why = WhyNotRepairable(kVictimSlot);
    REQUIRE_MESSAGE(!why.has_value(), why.value_or(""));
    Count(RepairDead(kVictimSlot), tally);
    REQUIRE(FindLeftovers(kVictimSlot) == "");
    Segment::Procs()[kVictimSlot].life = ProcLife::kFree;
  }
  stage.stop = 1;
  for (const auto& other : others) CHECK(other->Succeeded());
  CHECK(TimeoutsOnFreeLocks() == 0);
  const std::string faults = FindFaults();
  CHECK_MESSAGE(faults.empty(), faults);
  MESSAGE(tally.deaths, " deaths, ", tally.held, " of them with locks, ", tally.taken_back,
          " changes taken back, ", tally.finished, " finished; ", stage.changes.load(),
          " changes by others");

  const auto memory = ReadDatabase();
  MustSucceed(Wal::FlushAll());
  world.Stop();
  world.Start();
  CHECK(ReadDatabase() == memory);
  const std::string after_redo = FindFaults();
  CHECK_MESSAGE(after_redo.empty(), after_redo);
}

}  // namespace warren::test
