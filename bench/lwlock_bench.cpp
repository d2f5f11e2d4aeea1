// What does an acquire and release cost, beside pthread's process-shared locks in the same run?
//
// Usage: lwlock_bench [ROUNDS] [MILLISECONDS] [SPIN_ROUNDS] (default 7 rounds of 100 ms each;
// prints medians). Forked processes over shared memory, all on one lock. `64 slots` has reader bits
// for 64 processes, as with few clients; `1100 slots` for the default max_connections, all of them
// once used.
#include <pthread.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "lwlock/lwlock.h"
#include "tests/support/lock_world.h"

namespace warren {
namespace {

using test::LockWorld;
using test::SharedRegion;

constexpr int kBatch = 100;  // operations between two looks at the clock's flag

struct Arena {
  std::atomic<int> ready;
  std::atomic<bool> go;
  std::atomic<bool> stop;
  std::atomic<uint64_t> operations;
  std::atomic<int64_t> cpu_ns;
};

template <typename Pair>
void RunWorker(Arena& arena, Pair pair) {
  uint64_t operations = 0;
  arena.ready.fetch_add(1);
  while (!arena.go) {
  }
  const int64_t cpu_begin = ReadClockNs(CLOCK_PROCESS_CPUTIME_ID);
  while (!arena.stop.load(std::memory_order_relaxed)) {
    for (int i = 0; i < kBatch; ++i) pair();
    operations += kBatch;
  }
  arena.cpu_ns.fetch_add(ReadClockNs(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin);
  arena.operations.fetch_add(operations);
}

// Nanoseconds per operation: of all processes together by the wall clock; of a single one by the
// processor time it had, which what else runs on the machine disturbs less.
template <typename Start>
double Measure(int processes, int64_t duration_ns, Start start) {
  SharedRegion region(4096);
  Arena& arena = *region.Allocate<Arena>();
  std::vector<pid_t> children;
  for (int i = 0; i < processes; ++i) {
    const pid_t pid = fork();
    if (pid == 0) {
      start(arena, i);
      _exit(0);
    }
    children.push_back(pid);
  }
  while (arena.ready < processes) usleep(100);
  const int64_t begin = MonotonicNs();
  arena.go = true;
  while (MonotonicNs() - begin < duration_ns) usleep(1000);
  arena.stop = true;
  const int64_t ran_ns = MonotonicNs() - begin;
  for (const pid_t pid : children) waitpid(pid, nullptr, 0);
  return static_cast<double>(processes == 1 ? arena.cpu_ns.load() : ran_ns) /
         static_cast<double>(arena.operations);
}

struct Contender {
  std::string name;
  std::vector<double> ns;  // one per round
  double (*run)(int processes, int64_t duration_ns);
};

template <uint32_t kSlots, bool kExclusive>
double RunLWLock(int processes, int64_t duration_ns) {
  LockWorld world(kSlots);
  CoverSlot(world.space(), kSlots - 1);
  return Measure(processes, duration_ns, [&](Arena& arena, int i) {
    // Not slot 0, which stands as far from its page's start as the lock does: the processor would
    // take stores to the one for loads from the other.
    world.Bind(static_cast<SlotIndex>(i + 1));
    LWLock& lock = world.lock();
    RunWorker(arena, [&lock]() NO_THREAD_SAFETY_ANALYSIS {
      if (kExclusive) {
        AcquireExclusive(lock);
        ReleaseExclusive(lock);
      } else {
        AcquireShared(lock);
        ReleaseShared(lock);
      }
    });
  });
}

template <bool kRobust>
double RunMutex(int processes, int64_t duration_ns) {
  SharedRegion region(4096);
  auto* mutex = region.Allocate<pthread_mutex_t>();
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (kRobust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(mutex, &attributes);
  return Measure(processes, duration_ns, [mutex](Arena& arena, int) {
    RunWorker(arena, [mutex] {
      pthread_mutex_lock(mutex);
      pthread_mutex_unlock(mutex);
    });
  });
}

template <bool kExclusive>
double RunRwlock(int processes, int64_t duration_ns) {
  SharedRegion region(4096);
  auto* rwlock = region.Allocate<pthread_rwlock_t>();
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_rwlock_init(rwlock, &attributes);
  return Measure(processes, duration_ns, [rwlock](Arena& arena, int) {
    RunWorker(arena, [rwlock] {
      kExclusive ? pthread_rwlock_wrlock(rwlock) : pthread_rwlock_rdlock(rwlock);
      pthread_rwlock_unlock(rwlock);
    });
  });
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Alternates, so that what else the machine does falls on all alike.
void Compare(const char* mode, int processes, int rounds, int64_t duration_ns,
             std::vector<Contender> contenders) {
  for (int round = 0; round < rounds; ++round) {
    for (Contender& contender : contenders) {
      contender.ns.push_back(contender.run(processes, duration_ns));
    }
  }
  const double yardstick = Median(contenders[0].ns);
  for (const Contender& contender : contenders) {
    const double median = Median(contender.ns);
    std::printf("%-9s  %d  %-20s %8.1f  %5.2f\n", mode, processes, contender.name.c_str(), median,
                median / yardstick);
  }
  std::fflush(stdout);
}

}  // namespace
}  // namespace warren

int main(int argc, char** argv) {
  using namespace warren;
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 7;
  const int64_t duration_ns = (argc > 2 ? std::atoll(argv[2]) : 100) * 1'000'000;
  if (argc > 3) GetLockTuning().spin_rounds = static_cast<uint32_t>(std::atoi(argv[3]));
  std::printf("mode       n  lock                  ns/op  ratio to the first of its group\n");
  for (const int processes : {1, 2, 8}) {
    Compare("exclusive", processes, rounds, duration_ns,
            {{"pthread mutex", {}, RunMutex<false>},
             {"robust mutex", {}, RunMutex<true>},
             {"pthread rwlock", {}, RunRwlock<true>},
             {"lwlock, 64 slots", {}, RunLWLock<64, true>},
             {"lwlock, 1100 slots", {}, RunLWLock<1100, true>}});
    Compare("shared", processes, rounds, duration_ns,
            {{"pthread rwlock", {}, RunRwlock<false>},
             {"lwlock, 64 slots", {}, RunLWLock<64, false>},
             {"lwlock, 1100 slots", {}, RunLWLock<1100, false>}});
  }
  return 0;
}
