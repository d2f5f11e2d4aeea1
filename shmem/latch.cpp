#include "shmem/latch.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <initializer_list>

#include "base/check.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/per_process.h"

namespace warren {
namespace {

constexpr uint32_t kLatchSet = 1;
constexpr uint32_t kReload = 2;
constexpr uint32_t kTerminate = 4;

constexpr std::initializer_list<int> kWakeSignals = {SIGURG, SIGHUP, SIGTERM};

// All process-private; atomics because the handler may run between any two instructions.
WARREN_PER_PROCESS std::atomic<uint32_t> g_pending{0};
WARREN_PER_PROCESS std::atomic<int> g_socket{-1};
WARREN_PER_PROCESS std::atomic<int> g_socket_flags{0};  // of fcntl, without O_NONBLOCK
// May say true of a blocking socket (a handler in the midst of Arm), never false of a non-blocking
// one.
WARREN_PER_PROCESS std::atomic<bool> g_maybe_nonblocking{false};
static_assert(std::atomic<uint32_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

uint32_t BitOf(int signal) {
  switch (signal) {
    case SIGHUP:
      return kReload;
    case SIGTERM:
      return kTerminate;
    default:
      return kLatchSet;
  }
}

// Only async-signal-safe calls; errno is the interrupted code's.
void OnWake(int signal) {
  const int saved_errno = errno;
  g_pending.fetch_or(BitOf(signal));
  const int fd = g_socket.load();
  if (fd >= 0) {
    g_maybe_nonblocking.store(true);
    // Always, even if it is non-blocking already for all we know: Arm may be about to change that.
    fcntl(fd, F_SETFL, g_socket_flags.load() | O_NONBLOCK);
  }
  errno = saved_errno;
}

void OnQuit(int) { _exit(2); }

void Install(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  // No SA_RESTART: a blocking call that has begun must come back. The handlers don't interrupt each
  // other.
  for (const int other : kWakeSignals) sigaddset(&action.sa_mask, other);
  CHECK(sigaction(signal, &action, nullptr) == 0);
}

sigset_t WakeSignalSet() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kWakeSignals) sigaddset(&set, signal);
  return set;
}

bool TakeBit(uint32_t bit) {
  if ((g_pending.load() & bit) == 0) return false;
  g_pending.fetch_and(~bit);
  return true;
}

// Wake signals are blocked while it lives, so that one that comes after a look at g_pending comes
// inside the ppoll that is given `outside`.
class WakeSignalsBlocked {
 public:
  WakeSignalsBlocked() {
    const sigset_t wake_signals = WakeSignalSet();
    CHECK(sigprocmask(SIG_BLOCK, &wake_signals, &outside_) == 0);
  }
  ~WakeSignalsBlocked() { CHECK(sigprocmask(SIG_SETMASK, &outside_, nullptr) == 0); }
  WakeSignalsBlocked(const WakeSignalsBlocked&) = delete;
  WakeSignalsBlocked& operator=(const WakeSignalsBlocked&) = delete;
  const sigset_t& outside() const { return outside_; }

 private:
  sigset_t outside_;
};

timespec TimespecOf(int64_t ns) {
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

}  // namespace

void SetLatch(const ProcArray& procs, Owner target) {
  if (target.slot >= procs.size()) return;
  const Proc& proc = procs[target.slot];
  const int32_t pid = proc.pid.load();
  // The generation is read after the pid: a slot given to somebody else in between has lost the pid
  // that was read, or has the new generation.
  const ProcLife life = proc.life.load();
  if (proc.generation.load() != target.generation || pid <= 0) return;
  if (life == ProcLife::kStarting || life == ProcLife::kRunning) kill(pid, SIGURG);
}

void Latch::InstallHandlers() {
  g_socket.store(-1);
  g_maybe_nonblocking.store(false);
  g_pending.store(0);
  for (const int signal : kWakeSignals) Install(signal, OnWake);
  Install(SIGQUIT, OnQuit);
  Install(SIGINT, SIG_IGN);
  Install(SIGCHLD, SIG_DFL);
  sigset_t unblock = WakeSignalSet();
  for (const int signal : {SIGQUIT, SIGINT, SIGCHLD}) sigaddset(&unblock, signal);
  CHECK(sigprocmask(SIG_UNBLOCK, &unblock, nullptr) == 0);
}

void Latch::GuardSocket(int fd) {
  g_socket.store(-1);  // first: the handler must not give the old socket's flags to the new one
  if (fd < 0) return;
  const int flags = fcntl(fd, F_GETFL);
  CHECK(flags >= 0);
  g_socket_flags.store(flags & ~O_NONBLOCK);
  g_maybe_nonblocking.store((flags & O_NONBLOCK) != 0);
  g_socket.store(fd);
}

void Latch::Arm() {
  if (!g_maybe_nonblocking.load(std::memory_order_relaxed)) return;
  // Before the call: a handler in between says true again, and at worst the next Arm makes a
  // blocking socket blocking. The other way round it could stay non-blocking for ever.
  g_maybe_nonblocking.store(false);
  FAULT_POINT(kLatchArm);
  fcntl(g_socket.load(), F_SETFL, g_socket_flags.load());
}

bool Latch::Pending() { return g_pending.load(std::memory_order_relaxed) != 0; }
bool Latch::TakeLatch() { return TakeBit(kLatchSet); }
bool Latch::TakeReload() { return TakeBit(kReload); }
bool Latch::TerminateRequested() { return (g_pending.load() & kTerminate) != 0; }

int Latch::Poll(std::span<pollfd> fds, int64_t timeout_ms) {
  const WakeSignalsBlocked blocked;
  if (Pending()) {
    errno = EINTR;
    return -1;
  }
  const timespec timeout = TimespecOf(timeout_ms * 1'000'000);
  return ppoll(fds.data(), fds.size(), timeout_ms < 0 ? nullptr : &timeout, &blocked.outside());
}

bool Latch::Wait(int64_t timeout_ms) {
  const int64_t deadline_ns = timeout_ms < 0 ? -1 : MonotonicNs() + timeout_ms * 1'000'000;
  if (Pending()) return true;
  const WakeSignalsBlocked blocked;
  while (!Pending()) {
    timespec left{};
    if (deadline_ns >= 0) {
      const int64_t left_ns = deadline_ns - MonotonicNs();
      if (left_ns <= 0) return false;
      left = TimespecOf(left_ns);
    }
    ppoll(nullptr, 0, deadline_ns >= 0 ? &left : nullptr, &blocked.outside());
  }
  return true;
}

}  // namespace warren
