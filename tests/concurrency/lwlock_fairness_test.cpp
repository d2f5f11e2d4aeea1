// Does everybody get a contended lock in time?
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdio>

#include "base/clock.h"
#include "lwlock/lwlock.h"
#include "tests/support/actors.h"
#include "tests/support/lock_world.h"

namespace warren::test {
namespace {

constexpr int kProcesses = 64;
constexpr int64_t kLongestWaitNs = 1'000'000'000;

// For how long this process could have run but was given no processor: with far more processes than
// processors that is a large part of every long wait, and no lock can change it.
class RunDelay {
 public:
  RunDelay() : file_(open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC)) {}
  ~RunDelay() { close(file_); }
  RunDelay(const RunDelay&) = delete;
  RunDelay& operator=(const RunDelay&) = delete;

  int64_t Ns() const {
    char text[128] = "";
    long long on_cpu = 0;
    long long delay = 0;
    if (pread(file_, text, sizeof text - 1, 0) <= 0) return 0;
    return std::sscanf(text, "%lld %lld", &on_cpu, &delay) == 2 ? delay : 0;
  }

 private:
  int file_;
};

// Waits by their binary magnitude: bucket b counts those of 2^b .. 2^(b+1) - 1 ns.
struct Waits {
  std::array<std::atomic<uint64_t>, 64> buckets;
  std::atomic<int64_t> longest_ns;         // as the clock says
  std::atomic<int64_t> longest_asleep_ns;  // without the time spent ready to run

  void Add(int64_t ns) {
    const auto bucket = static_cast<size_t>(std::bit_width(static_cast<uint64_t>(ns) | 1) - 1);
    buckets[bucket].fetch_add(1, std::memory_order_relaxed);
    Raise(longest_ns, ns);
  }
  static void Raise(std::atomic<int64_t>& longest, int64_t ns) {
    int64_t seen = longest.load(std::memory_order_relaxed);
    while (ns > seen && !longest.compare_exchange_weak(seen, ns)) {
    }
  }
  uint64_t Count() const {
    uint64_t count = 0;
    for (const auto& bucket : buckets) count += bucket.load();
    return count;
  }
  // At most twice the true one.
  int64_t PercentileNs(double share) const {
    const auto wanted = static_cast<uint64_t>(static_cast<double>(Count()) * share);
    uint64_t count = 0;
    for (size_t b = 0; b < buckets.size(); ++b) {
      count += buckets[b].load();
      if (count >= wanted) return int64_t{2} << b;
    }
    return 0;
  }
  void Print(const char* mix, const char* mode) const {
    std::printf(
        "lwlock fairness, %d processes, %s: %llu %s acquires, wait p99 < %.3f ms, longest %.1f ms "
        "(%.1f ms of it not for a processor)\n",
        kProcesses, mix, static_cast<unsigned long long>(Count()), mode,
        static_cast<double>(PercentileNs(0.99)) / 1e6, static_cast<double>(longest_ns) / 1e6,
        static_cast<double>(longest_asleep_ns) / 1e6);
  }
};

// A few hundred nanoseconds of work, as a page look-up is.
void Work(volatile uint64_t& counter) {
  for (int i = 0; i < 100; ++i) counter = counter + 1;
}

// `exclusive_of_100` of a hundred acquires are exclusive; `think` pieces of work between two of
// them.
void RunMix(const char* mix, int exclusive_of_100, int think) {
  LockWorld world(kProcesses);
  auto* waits = world.region().Allocate<Waits>(2);
  auto& counter = *world.region().Allocate<uint64_t>();
  const int64_t end_ns = MonotonicNs() + (FullForm() ? 10 : 2) * int64_t{1'000'000'000};
  CHECK(RunActors(ActorForm::kProcesses, kProcesses, [&](int me) {
    world.Bind(static_cast<SlotIndex>(me));
    uint64_t seed = static_cast<uint64_t>(me) + 1;
    volatile uint64_t own = 0;
    const RunDelay run_delay;
    int64_t delay_ns = 0;  // as of `delay_at_ns`, never long ago
    int64_t delay_at_ns = 0;
    for (int64_t now = MonotonicNs(); now < end_ns;) {
      if (now - delay_at_ns > 2'000'000) {
        delay_ns = run_delay.Ns();
        delay_at_ns = now = MonotonicNs();
      }
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      const bool exclusive = static_cast<int>((seed >> 33) % 100) < exclusive_of_100;
      exclusive ? AcquireExclusive(world.lock()) : AcquireShared(world.lock());
      const int64_t waited_ns = MonotonicNs() - now;
      Waits& mine = waits[exclusive ? 1 : 0];
      mine.Add(waited_ns);
      if (waited_ns > 20'000'000) {
        Waits::Raise(mine.longest_asleep_ns, waited_ns - (run_delay.Ns() - delay_ns));
      }
      Work(exclusive ? counter : own);
      exclusive ? ReleaseExclusive(world.lock()) : ReleaseShared(world.lock());
      for (int i = 0; i < think; ++i) Work(own);
      now = MonotonicNs();
    }
    return world.proc(static_cast<SlotIndex>(me)).timeouts_on_free_lock.load() == 0;
  }));
  waits[0].Print(mix, "shared");
  waits[1].Print(mix, "exclusive");
  CHECK(waits[0].longest_asleep_ns.load() < kLongestWaitNs);
  CHECK(waits[1].longest_asleep_ns.load() < kLongestWaitNs);
}

}  // namespace

TEST_CASE("no single wait is over a second among 64 processes, half of it exclusive") {
  RunMix("half exclusive", 50, 0);
}

TEST_CASE("an exclusive waiter is not overtaken for ever by readers") {
  RunMix("2 % exclusive", 2, 0);
}

TEST_CASE("a reader is not overtaken for ever by exclusive holders") {
  RunMix("98 % exclusive", 98, 0);
}

TEST_CASE("no single wait is over a second with work between the acquires") {
  RunMix("half exclusive, work between", 50, 4);
}

}  // namespace warren::test
