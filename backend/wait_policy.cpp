#include "backend/wait_policy.h"

#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/clock.h"
#include "base/process_title.h"
#include "conf/settings.h"
#include "lwlock/lwlock.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "shmem/stats.h"

namespace warren {
namespace {

// About what falling asleep and being woken costs here; spinning longer could only lose.
constexpr int64_t kSpinNs = 40'000;
// More than one or two small requests: a batch. Its work is long beside a switch of processes, and
// its client will not be back before it has read as many replies.
constexpr ssize_t kBatchBytes = 384;
// A client that lets so many spins in a row run out thinks between its requests: spin only now and
// then to notice when it no longer does.
constexpr uint32_t kVainSpins = 4;
constexpr uint32_t kSpinAgainEvery = 64;
constexpr uint32_t kRecountEvery = 4096;
// A client that comes for a command or two is gone before its process needs to be prepared for
// more: from this wait on it is.
constexpr uint32_t kWaitsOfVisitors = 3;
// It is batch work no longer when it was alone for so many waits.
constexpr uint32_t kUncrowdedWaits = 256;

int32_t ProcessorCount() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

// As it was when the program began; whoever stays counts again.
const int32_t g_processors = ProcessorCount();

}  // namespace

ClientWait::ClientWait() : processors_(g_processors) { SetWorking(true); }

// A system call when it changes. Refused in some containers: then without.
void ClientWait::SetBatchWork(bool batch_work) {
  uncrowded_waits_ = batch_work ? 0 : uncrowded_waits_ + 1;
  if (batch_work == batch_work_ || (!batch_work && uncrowded_waits_ < kUncrowdedWaits)) return;
  batch_work_ = batch_work;
  const sched_param parameter{};
  sched_setscheduler(0, batch_work ? SCHED_BATCH : SCHED_OTHER, &parameter);
}

ClientWait::~ClientWait() { SetWorking(false); }

void ClientWait::SetWorking(bool working) {
  Proc* self = ProcArray::SelfOrNull();
  if (self == nullptr || self->client.working.load(std::memory_order_relaxed) == working) return;
  self->client.working.store(working, std::memory_order_relaxed);
  Segment::Server().working_backends.fetch_add(working ? 1 : -1, std::memory_order_relaxed);
}

// Others change the number meanwhile, so the result may be off by a few until the next time. It
// only chooses between two ways to wait.
void ClientWait::Recount() {
  int32_t working = 0;
  for (const Proc& proc : Segment::Procs().slots()) {
    if (proc.life.load(std::memory_order_relaxed) == ProcLife::kRunning) {
      working += proc.client.working.load(std::memory_order_relaxed);
    }
  }
  Segment::Server().working_backends.store(working, std::memory_order_relaxed);
}

ClientWait::Way ClientWait::Choose() {
  if (++waits_ == kWaitsOfVisitors) processors_ = ProcessorCount();
  switch (GetSettings().wait_policy) {
    case WaitPolicy::kBlock:
      return Way::kSleep;
    case WaitPolicy::kSpin:
      return Way::kSpin;
    case WaitPolicy::kYield:
      return Way::kYield;
    case WaitPolicy::kAdaptive:
      break;
  }
  if (!Segment::Exists()) return Way::kSleep;
  if (waits_ % kRecountEvery == 0) Recount();
  // One processor is left for the client, if it is on this machine.
  const int32_t working = Segment::Server().working_backends.load(std::memory_order_relaxed);
  const bool crowded = working >= processors_;
  if (waits_ >= kWaitsOfVisitors) SetBatchWork(crowded);
  if (crowded) {
    const bool yields = !batch_ && Segment::Server().crowd_trial.Yields(MonotonicNs(), [] {
      return Stats::ReadSinceStart(StatId::kReads);
    });
    return yields ? Way::kYield : Way::kSleep;
  }
  if (!trial_.Spins(MonotonicNs()) || !backoff_.MaySpin()) return Way::kSleep;
  return vain_spins_ < kVainSpins || waits_ % kSpinAgainEvery == 0 ? Way::kSpin : Way::kSleep;
}

ssize_t ClientWait::Spin(int fd, std::span<char> space) {
  int64_t now = MonotonicNs();
  const int64_t end = now + kSpinNs;
  do {
    const ssize_t n = recv(fd, space.data(), space.size(), MSG_DONTWAIT);
    const int error = errno;
    const int64_t looked_at = std::exchange(now, MonotonicNs());
    backoff_.NoteLook(now - looked_at);
    if (n >= 0 || error != EAGAIN || Latch::Pending()) {
      vain_spins_ = 0;
      backoff_.NoteSpin();
      errno = error;
      return n;
    }
  } while (now < end);
  ++vain_spins_;
  backoff_.NoteSpin();
  errno = EAGAIN;
  return -1;
}

ssize_t ClientWait::Sleep(int fd, std::span<char> space) {
  SetProcessTitleActivity("idle");
  SetWorking(false);
  const ScopedWait wait(WaitEvent::kClientRead);
  const ssize_t n = recv(fd, space.data(), space.size(), 0);
  SetWorking(true);
  return n;
}

ssize_t ClientWait::Await(int fd, std::span<char> space) {
  const Way way = Choose();
  if (way == Way::kSpin) {
    const ssize_t n = Spin(fd, space);
    if (n >= 0 || errno != EAGAIN || Latch::Pending()) return n;
  }
  if (way == Way::kYield) sched_yield();
  return Sleep(fd, space);
}

ssize_t ClientWait::Receive(int fd, std::span<char> space) {
  const ssize_t n = Await(fd, space);
  if (n > 0) batch_ = n > kBatchBytes;
  return n;
}

}  // namespace warren
