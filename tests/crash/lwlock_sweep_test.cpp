// Whatever a process does with locks: may it die at each store in turn, among others at work?
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "tests/crash/lwlock_victim.h"

namespace warren::test {
namespace {

using World = CrashWorld;

constexpr int kWorkers = 3;

struct Worker {
  std::atomic<uint64_t> rounds;
};

void ReadPair(World& world, size_t i) {
  AcquireShared(world.lock(i));
  if (!world.IsWhole(i)) _exit(4);
  Step();
  ReleaseShared(world.lock(i));
}

// Everything that can be done with locks, once.
void UseLocks(World& world) {
  AcquireExclusive(world.lock(0));
  world.Change(0);
  ReleaseExclusive(world.lock(0));
  ReadPair(world, 0);

  AcquireExclusive(world.lock(0));
  world.Change(0);
  Downgrade(world.lock(0));
  if (!world.IsWhole(0)) _exit(4);
  AcquireExclusive(world.lock(1));
  world.Change(1);
  ReleaseShared(world.lock(0));
  ReleaseExclusive(world.lock(1));

  if (TryAcquireExclusive(world.lock(1))) {
    world.Change(1);
    // Against the order, which a try may.
    if (TryAcquireExclusive(world.lock(0))) {
      world.Change(0);
      ReleaseExclusive(world.lock(0));
    }
    ReleaseExclusive(world.lock(1));
  }
  if (TryAcquireShared(world.lock(0))) {
    if (!world.IsWhole(0)) _exit(4);
    ReleaseShared(world.lock(0));
  }
  ReadPair(world, 1);
}

// Others at work on the same locks, until the object goes.
class Bystanders {
 public:
  Bystanders(World& world, int64_t patience_ns)
      : world_(world),
        workers_(world.world().region().Allocate<Worker>(kWorkers)),
        stop_(*world.world().region().Allocate<std::atomic<bool>>()) {
    for (int i = 0; i < kWorkers; ++i) {
      children_.push_back(std::make_unique<Child>([&, i] {
        world_.world().Bind(static_cast<SlotIndex>(10 + i * 25));
        GetLockTuning().patience_ns = patience_ns;
        GetLockTuning().spin_rounds = static_cast<uint32_t>(i) * 4;
        while (!stop_) {
          UseLocks(world_);
          workers_[i].rounds.fetch_add(1);
        }
        return world_.world().proc(static_cast<SlotIndex>(10 + i * 25)).timeouts_on_free_lock == 0;
      }));
    }
  }
  // Each gets on: nobody is stuck behind what the dead one left.
  bool GetOn() {
    std::vector<uint64_t> before;
    for (int i = 0; i < kWorkers; ++i) before.push_back(workers_[i].rounds.load());
    return WaitFor([&] {
      for (size_t i = 0; i < kWorkers; ++i) {
        if (workers_[i].rounds.load() < before[i] + 2) return false;
      }
      return true;
    });
  }
  // No one saw a torn pair or lost a wake-up.
  bool EndWell() {
    stop_ = true;
    bool ok = true;
    for (auto& child : children_) ok &= child->Succeeded();
    return ok;
  }

 private:
  World& world_;
  Worker* workers_;
  std::atomic<bool>& stop_;
  std::vector<std::unique_ptr<Child>> children_;
};

std::unique_ptr<Child> StartVictim(World& world, SlotIndex slot, int step, int64_t patience_ns) {
  return std::make_unique<Child>([&world, slot, step, patience_ns] {
    world.world().Bind(slot);
    GetLockTuning().patience_ns = patience_ns;
    GetLockTuning().spin_rounds = static_cast<uint32_t>(step % 3);
    DieAtStep(step);
    UseLocks(world);
    return true;
  });
}

void Sweep(int64_t patience_ns) {
  World world;
  Bystanders bystanders(world, patience_ns);
  int deaths = 0;
  // Contention adds points and takes some away: on until several in a row were never reached.
  for (int step = 1, reached_end = 0; reached_end < 5; ++step) {
    CAPTURE(step);
    auto victim = StartVictim(world, World::kVictim, step, patience_ns);
    const bool died = victim->WasKilled();
    REQUIRE((died || victim->Succeeded()));
    deaths += died ? 1 : 0;
    reached_end = died ? 0 : reached_end + 1;
    REQUIRE(world.RepairSlot(World::kVictim));
    REQUIRE(world.IsClean(World::kVictim));
    REQUIRE(bystanders.GetOn());
  }
  CHECK(deaths > 50);
  CHECK(bystanders.EndWell());
  for (size_t i = 0; i < World::kLocks; ++i) CHECK(world.IsAtRest(i));
}

}  // namespace

TEST_CASE("a death at any store leaves the others at work") {
  for (int i = 0; i < (FullForm() ? 10 : 1); ++i) Sweep(1'000'000'000);
}

TEST_CASE("a death at any store leaves the others at work while locks are handed over") {
  for (int i = 0; i < (FullForm() ? 10 : 1); ++i) Sweep(0);
}

TEST_CASE("two deaths at once at any two stores leave the others at work") {
  World world;
  Bystanders bystanders(world, 0);
  uint64_t seed = static_cast<uint64_t>(getpid());
  CAPTURE(seed);
  for (int i = 0; i < (FullForm() ? 2000 : 100); ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    auto one = StartVictim(world, World::kVictim, 1 + static_cast<int>(seed >> 33) % 80, 0);
    auto two = StartVictim(world, World::kSecondVictim, 1 + static_cast<int>(seed >> 43) % 80, 0);
    // Each may wait for what the other died with, so that each is repaired as soon as it is dead.
    bool repaired_one = false;
    bool repaired_two = false;
    REQUIRE(WaitFor([&] {
      if (!repaired_one && one->HasEnded()) repaired_one = world.RepairSlot(World::kVictim);
      if (!repaired_two && two->HasEnded()) repaired_two = world.RepairSlot(World::kSecondVictim);
      return repaired_one && repaired_two;
    }));
    REQUIRE((one->WasKilled() || one->Succeeded()));
    REQUIRE((two->WasKilled() || two->Succeeded()));
    REQUIRE(bystanders.GetOn());
  }
  CHECK(bystanders.EndWell());
  for (size_t i = 0; i < World::kLocks; ++i) CHECK(world.IsAtRest(i));
}

}  // namespace warren::test
