// 7. What happens when a process is killed inside a lock?
//
// A holder takes the lock, changes one half of a pair, and is killed there with SIGKILL, while
// another process waits for the lock. How long until that one is in, and what does it find?
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "bench/ipc/locks.h"
#include "bench/ipc/measurements.h"
#include "bench/ipc/processes.h"
#include "bench/ipc/shared_record.h"
#include "bench/ipc/stream_io.h"

namespace warren::ipc {
namespace {

constexpr int64_t kLongNs = 20'000'000'000;
constexpr int64_t kSettleNs = 3'000'000;  // for the waiter to have gone to sleep

// Whole when both are equal.
struct Pair {
  std::atomic<uint64_t> first;
  std::atomic<uint64_t> second;
};

struct Scene {
  std::atomic<bool> holder_inside;
  std::atomic<bool> waiter_here;
  std::atomic<int64_t> entered_ns;  // 0: not yet
  std::atomic<bool> told;           // the lock said that its holder died
  std::atomic<bool> torn;
  Pair pair;
};

// -- What the candidates have in common: Hold() leaves the pair half changed, Enter() is the
// waiter's way in, Died() what is done once the holder has been reaped.

Pair* g_pair = nullptr;  // for the repair function, which has no argument of its own

void RepairPair(LWLock&) noexcept { g_pair->second = g_pair->first.load(); }

template <typename Lock>
class Guard {
 public:
  void Hold(Scene& scene) {
    lock_.Join(0);
    lock_.Lock();
    scene.pair.first.fetch_add(1);
  }
  void Enter(Scene& scene) NO_THREAD_SAFETY_ANALYSIS {
    lock_.Join(1);
    if constexpr (requires { bool(lock_.Lock()); }) {
      scene.told = lock_.Lock();
    } else {
      lock_.Lock();
    }
    scene.torn = scene.pair.first != scene.pair.second;
  }
  void Died(Scene& scene) {
    if constexpr (requires { lock_.segment(); }) {
      g_pair = &scene.pair;
      RegisterRepair(TrancheId::kTest, RepairPair);
      lock_.segment().ReleaseLocksOf(0);
      RegisterRepair(TrancheId::kTest, nullptr);
    }
  }

 private:
  Lock lock_;
};

// A reader that meets the odd version of a dead writer.
class SeqlockGuard {
 public:
  void Hold(Scene&) { record_.BeginWrite(); }
  void Enter(Scene&) {
    RecordCopy copy;
    record_.Read(&copy);
  }
  void Died(Scene&) {}

 private:
  SeqlockRecord record_;
};

// fcntl's, on a file without a name.
class FileLockGuard {
 public:
  FileLockGuard() : file_(memfd_create("warren-ipc-lab", MFD_CLOEXEC)) {}
  void Hold(Scene& scene) {
    Lock();
    scene.pair.first.fetch_add(1);
  }
  void Enter(Scene& scene) {
    Lock();
    scene.torn = scene.pair.first != scene.pair.second;
  }
  void Died(Scene&) {}

 private:
  void Lock() {
    struct flock whole = {};
    whole.l_type = F_WRLCK;
    while (fcntl(file_.get(), F_SETLKW, &whole) != 0) {
      if (errno != EINTR) _exit(1);
    }
  }
  UniqueFd file_;
};

// No lock: the dead one had the state to itself, and others asked it by messages.
class OwnerGuard {
 public:
  OwnerGuard() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0) ends_ = {UniqueFd(fds[0]), UniqueFd(fds[1])};
  }
  void Hold(Scene&) { ends_[1].Reset(); }
  void Enter(Scene& scene) {
    ends_[0].Reset();
    char answer = 0;
    while (read(ends_[1].get(), &answer, 1) < 0 && errno == EINTR) {
    }
    scene.told = true;
  }
  void Forked() { ends_[0].Reset(); }  // or the lab would keep the dead one's end open
  void Died(Scene&) {}

 private:
  Ends ends_;
};

// -- One death

bool WaitUntil(const std::atomic<bool>& flag) {
  const int64_t deadline_ns = MonotonicNs() + kLongNs;
  while (!flag.load() && MonotonicNs() < deadline_ns) usleep(200);
  return flag.load();
}

struct Death {
  bool entered = false;
  double us = 0;
  bool told = false;
  bool torn = false;
};

template <typename G>
Result<Death> KillHolder(int64_t patience_ns) {
  G guard;
  SharedMemory memory(sizeof(Scene));
  Scene& scene = *memory.Allocate<Scene>();
  Child holder(0, [&] {
    guard.Hold(scene);
    scene.holder_inside = true;
    while (true) pause();
  });
  if (!WaitUntil(scene.holder_inside)) return MakeError(ErrorCode::kGeneric, "no holder in time");
  Child waiter(1, [&] {
    scene.waiter_here = true;
    guard.Enter(scene);
    scene.entered_ns = MonotonicNs();
  });
  if constexpr (requires { guard.Forked(); }) guard.Forked();
  if (!WaitUntil(scene.waiter_here)) return MakeError(ErrorCode::kGeneric, "no waiter in time");
  usleep(kSettleNs / 1000);
  if (scene.entered_ns != 0) return MakeError(ErrorCode::kGeneric, "the lock kept nobody out");

  const int64_t killed_ns = MonotonicNs();
  holder.Kill();
  if (!holder.Wait(killed_ns + kLongNs)) return MakeError(ErrorCode::kGeneric, "it would not die");
  guard.Died(scene);
  waiter.Wait(killed_ns + patience_ns);
  const int64_t entered_ns = scene.entered_ns;
  return Death{.entered = entered_ns != 0,
               .us = static_cast<double>(entered_ns - killed_ns) / 1000,
               .told = scene.told,
               .torn = scene.torn};
}

// -- The table

struct Candidate {
  const char* mechanism;
  const char* variant;
  Result<Death> (*kill)(int64_t patience_ns);
  bool hopeless;  // nothing will ever let the next one in: little patience is enough to see it
  const char* when_entered;  // what the data is, if not to be seen by the pair
};
const std::array<Candidate, 8> kCandidates = {{
    {"spinlock", "holder", KillHolder<Guard<SpinLock>>, true, nullptr},
    {"mutex", "holder", KillHolder<Guard<PthreadMutex<false>>>, true, nullptr},
    {"rwlock", "writer", KillHolder<Guard<PthreadRwlock>>, true, nullptr},
    {"seqlock", "writer", KillHolder<SeqlockGuard>, true, nullptr},
    {"robust mutex", "holder", KillHolder<Guard<PthreadMutex<true>>>, false, nullptr},
    {"file lock", "holder", KillHolder<FileLockGuard>, false, nullptr},
    {"owner behind unix socket", "owner", KillHolder<OwnerGuard>, false,
     "gone with its owner; those who ask are told"},
    {"lwlock", "holder", KillHolder<Guard<WarrenLWLock>>, false, nullptr},
}};

std::string DataAfter(const Candidate& candidate, const Death& death, int64_t patience_ns) {
  if (!death.entered) {
    return fmt::format("nobody ever gets in (waited {} ms)", patience_ns / 1'000'000);
  }
  if (candidate.when_entered != nullptr) return candidate.when_entered;
  if (!death.torn) return "repaired";
  return death.told ? "torn, and the next one is told" : "torn, and nobody is told";
}

Result<Sample> Measure(const Candidate& candidate, int deaths, int64_t patience_ns) {
  Sample sample;
  std::vector<double> us;
  for (int i = 0; i < deaths; ++i) {
    ASSIGN_OR_RETURN(const Death death, candidate.kill(patience_ns));
    const std::string data = DataAfter(candidate, death, patience_ns);
    if (i > 0 && data != sample.outcome) return Sample{{}, "not always the same", {}};
    sample.outcome = data;
    if (death.entered) us.push_back(death.us);
  }
  if (!us.empty()) sample.values = {Median(us), *std::max_element(us.begin(), us.end())};
  return sample;
}

}  // namespace

Plan PlanDeath(const Effort& effort) {
  Plan plan;
  plan.measurement = {
      .name = "death",
      .title = "kill -9 of a process that holds a lock and has changed half of what it guards",
      .notes = {"from the kill until the next one is in. For the lwlock the lab is the process "
                "monitor: it reaps the dead one, repairs, and lets the others in."},
      .variant_name = "who dies",
      .columns = {{"us until the next is in", "us", 0, Better::kLess},
                  {"worst us", "us", 0, Better::kLess}},
      .plot = {.kind = PlotKind::kBars, .column = 0, .log_x = false, .log_y = true, .x_label = ""},
      .rows = {}};
  const int64_t little_ns = effort.quick ? 200'000'000 : 1'000'000'000;
  for (const Candidate& candidate : kCandidates) {
    Row row;
    row.mechanism = candidate.mechanism;
    row.variant = candidate.variant;
    const int deaths = candidate.hopeless ? 1 : (effort.quick ? 3 : 20);
    const int64_t patience_ns = candidate.hopeless ? little_ns : kLongNs;
    plan.trials.push_back({row, [candidate, deaths, patience_ns] {
                             return Measure(candidate, deaths, patience_ns);
                           }});
  }
  return plan;
}

}  // namespace warren::ipc
