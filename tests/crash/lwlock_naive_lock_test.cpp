// What would the locks that a system has anyway do in the same place?
//
// A process is killed in the middle of moving an amount from one account to another, holding the
// lock. Another one wants that lock. With a pthread mutex between processes it waits for ever; with
// a robust one it is told that the owner died, and goes on with half a transfer, for the mutex
// knows nothing of what it guards; an LWLock is repaired: its tranche makes whole what it guards
// while the dead owner's mark keeps everybody out.
#include <doctest/doctest.h>
#include <pthread.h>

#include <cerrno>
#include <ctime>

#include "tests/crash/lwlock_victim.h"

namespace warren::test {
namespace {

struct Accounts {
  pthread_mutex_t mutex;
  std::atomic<int> left, right;
  std::atomic<int> intent;  // what is about to arrive on the right; kept for a repair
  int sum() const { return left.load() + right.load(); }
};
constexpr int kSum = 200;

Accounts& OpenAccounts(SharedRegion& region) {
  auto& accounts = *region.Allocate<Accounts>(1);
  accounts.left = accounts.right = kSum / 2;
  return accounts;
}

void InitMutex(pthread_mutex_t& mutex, int robust) {
  pthread_mutexattr_t attributes;
  REQUIRE(pthread_mutexattr_init(&attributes) == 0);
  REQUIRE(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
  REQUIRE(pthread_mutexattr_setrobust(&attributes, robust) == 0);
  REQUIRE(pthread_mutex_init(&mutex, &attributes) == 0);
  pthread_mutexattr_destroy(&attributes);
}

// Holding the lock: dies with half of the transfer made.
void TransferAndDie(Accounts& accounts, int amount) {
  accounts.intent = amount;
  accounts.left = accounts.left.load() - amount;
  kill(getpid(), SIGKILL);
  accounts.right = accounts.right.load() + amount;
  accounts.intent = 0;
}

int LockWithin(pthread_mutex_t& mutex, int64_t milliseconds) {
  timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  const int64_t ns = until.tv_nsec + milliseconds * 1'000'000;
  until.tv_sec += ns / 1'000'000'000;
  until.tv_nsec = ns % 1'000'000'000;
  return pthread_mutex_timedlock(&mutex, &until);
}

}  // namespace

TEST_CASE("naive: a pthread mutex whose owner was killed is waited for in vain") {
  SharedRegion region(4096);
  Accounts& accounts = OpenAccounts(region);
  InitMutex(accounts.mutex, PTHREAD_MUTEX_STALLED);
  Child victim([&] {
    pthread_mutex_lock(&accounts.mutex);
    TransferAndDie(accounts, 30);
    return false;
  });
  REQUIRE(victim.WasKilled());
  // As long as one cares to wait: nobody is left who could wake anybody.
  CHECK(LockWithin(accounts.mutex, 500) == ETIMEDOUT);
  Child waiter([&] {
    pthread_mutex_lock(&accounts.mutex);
    return true;
  });
  REQUIRE(waiter.WaitUntilAsleep());
  CHECK(LockWithin(accounts.mutex, 500) == ETIMEDOUT);
  CHECK_FALSE(waiter.HasEnded());
  CHECK(accounts.sum() == kSum - 30);
  waiter.Kill();
}

TEST_CASE("naive: a robust mutex goes on with what its killed owner left half done") {
  SharedRegion region(4096);
  Accounts& accounts = OpenAccounts(region);
  InitMutex(accounts.mutex, PTHREAD_MUTEX_ROBUST);
  Child victim([&] {
    pthread_mutex_lock(&accounts.mutex);
    TransferAndDie(accounts, 30);
    return false;
  });
  REQUIRE(victim.WasKilled());
  REQUIRE(LockWithin(accounts.mutex, 20'000) == EOWNERDEAD);
  // All that the interface offers: to call it consistent, which it is not.
  CHECK(pthread_mutex_consistent(&accounts.mutex) == 0);
  CHECK(accounts.sum() == kSum - 30);
  pthread_mutex_unlock(&accounts.mutex);
  // Whoever comes next is told nothing any more.
  Child next(
      [&] { return pthread_mutex_lock(&accounts.mutex) == 0 && accounts.sum() == kSum - 30; });
  CHECK(next.Succeeded());
}

TEST_CASE("naive: an LWLock whose owner was killed is repaired, and whoever waits sees a whole") {
  CrashWorld world;
  SharedRegion region(4096);
  static Accounts* s_accounts;
  Accounts& accounts = *(s_accounts = &OpenAccounts(region));
  RegisterRepair(TrancheId::kTestSeveral, [](LWLock&) noexcept {
    s_accounts->left = s_accounts->left.load() + s_accounts->intent.exchange(0);
  });
  Child victim([&] {
    world.world().Bind(CrashWorld::kVictim);
    AcquireExclusive(world.lock());
    TransferAndDie(accounts, 30);
    return false;
  });
  REQUIRE(victim.WasKilled());
  CHECK(accounts.sum() == kSum - 30);
  Child waiter([&] {
    world.world().Bind(CrashWorld::kWaiter);
    AcquireExclusive(world.lock());
    const bool whole = accounts.sum() == kSum;
    ReleaseExclusive(world.lock());
    return whole;
  });
  REQUIRE(waiter.WaitUntilAsleep());
  CHECK(world.RepairSlot(CrashWorld::kVictim));
  CHECK(waiter.Succeeded());
  CHECK(accounts.sum() == kSum);
  CHECK(world.IsClean(CrashWorld::kVictim));
}

}  // namespace warren::test
