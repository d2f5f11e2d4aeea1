// Is a process woken wherever it sleeps, and never missed?
#include "shmem/latch.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/clock.h"
#include "base/fault_point.h"
#include "tests/support/actors.h"
#include "tests/support/segment_world.h"
#include "tests/support/shared_region.h"

namespace warren::test {
namespace {

constexpr SlotIndex kSleeperSlot = 1;

int Rounds() { return FullForm() ? 200'000 : 5'000; }

struct Shared {
  std::atomic<uint64_t> asked;     // raised before each SetLatch
  std::atomic<uint64_t> answered;  // what the sleeper saw of `asked` after it was woken
  std::atomic<uint32_t> ready;
};

struct Sockets {
  Sockets() { REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0); }
  ~Sockets() {
    close(ends[0]);
    close(ends[1]);
  }
  int ends[2];
};

// A child in the sleeper's slot that runs `serve` after its handlers stand.
struct Sleeper {
  Sleeper(Shared& shared, FunctionRef<bool()> serve)
      : owner(Segment::Procs().GiveOut(kSleeperSlot, ProcessKind::kBackend)), child([&] {
          Segment::BindProcess(kSleeperSlot);
          Latch::InstallHandlers();
          ProcArray::EnterRunning();
          shared.ready.store(1);
          return serve();
        }) {
    REQUIRE(WaitFor([&] { return shared.ready.load() == 1; }));
  }
  Owner owner;
  Child child;
};

void Spin(uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) asm volatile("");
}

// As a backend sleeps: look at what may have been asked, arm, look for a wake-up, then recv. Ends
// when told to; true if that was in order.
bool ServeInRecv(Shared& shared, int fd) {
  Latch::GuardSocket(fd);
  for (uint32_t round = 0;; ++round) {
    shared.answered.store(shared.asked.load());
    if (Latch::TerminateRequested()) return true;
    Latch::Arm();
    if (Latch::Pending()) {
      Latch::TakeLatch();
      continue;
    }
    // The window that a flag alone would leave open, made wide and of different widths.
    Spin(round * 37 % 30011);
    char byte;
    const ssize_t got = recv(fd, &byte, 1, 0);
    if (got == 0) return true;
    if (got < 0 && errno != EAGAIN && errno != EINTR) return false;
    // Without a wake-up a blocking socket does not say EAGAIN: else this loop would spin.
    if (got < 0 && errno == EAGAIN && !Latch::Pending()) return false;
  }
}

bool ServeInWait(Shared& shared) {
  for (;;) {
    shared.answered.store(shared.asked.load());
    if (Latch::TerminateRequested()) return true;
    if (!Latch::Wait(-1)) return false;
    Latch::TakeLatch();
  }
}

// Asks and waits for the answer, again and again; a single lost wake-up leaves it without one.
void AskManyTimes(Shared& shared, Sleeper& sleeper) {
  for (int i = 1; i <= Rounds(); ++i) {
    shared.asked.store(static_cast<uint64_t>(i));
    SetLatch(Segment::Procs(), sleeper.owner);
    const int64_t deadline_ns = MonotonicNs() + 10'000'000'000;
    while (shared.answered.load() != static_cast<uint64_t>(i)) {
      if (MonotonicNs() > deadline_ns) FAIL("wake-up " << i << " was lost");
      // Different lengths of spinning make the wake-up meet different moments.
      Spin(static_cast<uint32_t>(i) % 997);
      if (i % 3 == 0) sched_yield();
    }
  }
}

}  // namespace

TEST_CASE("no wake-up of a process that sleeps in recv is lost") {
  const SegmentWorld world;
  SharedRegion region(4096);
  Shared& shared = *region.Allocate<Shared>();
  const Sockets sockets;
  Sleeper sleeper(shared, [&] { return ServeInRecv(shared, sockets.ends[1]); });
  AskManyTimes(shared, sleeper);
  kill(sleeper.child.pid(), SIGTERM);
  CHECK(sleeper.child.Succeeded());
}

TEST_CASE("no wake-up of a process that sleeps in Wait is lost") {
  const SegmentWorld world;
  SharedRegion region(4096);
  Shared& shared = *region.Allocate<Shared>();
  Sleeper sleeper(shared, [&] { return ServeInWait(shared); });
  AskManyTimes(shared, sleeper);
  kill(sleeper.child.pid(), SIGTERM);
  CHECK(sleeper.child.Succeeded());
}

TEST_CASE("bytes and wake-ups together lose neither") {
  const SegmentWorld world;
  SharedRegion region(4096);
  Shared& shared = *region.Allocate<Shared>();
  const Sockets sockets;
  constexpr uint64_t kBytes = 20'000;
  Sleeper sleeper(shared, [&] {
    const int fd = sockets.ends[1];
    Latch::GuardSocket(fd);
    while (shared.answered.load() < kBytes) {
      Latch::Arm();
      Latch::TakeLatch();
      char bytes[64];
      const ssize_t got = recv(fd, bytes, sizeof bytes, 0);
      if (got > 0) shared.answered.fetch_add(static_cast<uint64_t>(got));
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
    }
    return true;
  });
  for (uint64_t i = 0; i < kBytes; ++i) {
    REQUIRE(send(sockets.ends[0], "x", 1, 0) == 1);
    if (i % 3 == 0) SetLatch(Segment::Procs(), sleeper.owner);
  }
  CHECK(sleeper.child.Succeeded());
}

TEST_CASE("a wake-up after the last look and before recv makes recv return") {
  const Sockets sockets;
  Child child([&] {
    Latch::InstallHandlers();
    Latch::GuardSocket(sockets.ends[1]);
    for (int i = 0; i < 3; ++i) {
      Latch::Arm();
      if (Latch::Pending()) return false;
      raise(SIGURG);
      char byte;
      if (recv(sockets.ends[1], &byte, 1, 0) != -1 || errno != EAGAIN) return false;
      if (!Latch::TakeLatch()) return false;
    }
    return true;
  });
  CHECK(child.Succeeded(5));
}

TEST_CASE("a wake-up in the middle of arming leaves neither a deaf nor a restless socket") {
  const Sockets sockets;
  Child child([&] {
    Latch::InstallHandlers();
    Latch::GuardSocket(sockets.ends[1]);
    raise(SIGURG);
    Latch::TakeLatch();
    SetFaultAction(FaultPoint::kLatchArm, [](FaultPoint, void*) -> Status {
      raise(SIGURG);
      return {};
    });
    Latch::Arm();
    ClearFaultActions();
    if (!Latch::TakeLatch()) return false;  // it came before the look that follows Arm
    Latch::Arm();
    const auto nonblocking = [&] { return (fcntl(sockets.ends[1], F_GETFL) & O_NONBLOCK) != 0; };
    if (Latch::Pending() || nonblocking()) return false;
    raise(SIGURG);
    return nonblocking();
  });
  CHECK(child.Succeeded(5));
}

TEST_CASE("a stale owner wakes nobody") {
  const SegmentWorld world;
  SharedRegion region(4096);
  Shared& shared = *region.Allocate<Shared>();
  Sleeper sleeper(shared, [&] {
    // Only SIGTERM ends this wait; a latch would come first.
    while (!Latch::TerminateRequested()) Latch::Wait(-1);
    return !Latch::TakeLatch();
  });
  SetLatch(Segment::Procs(), {kSleeperSlot, sleeper.owner.generation - 1});
  SetLatch(Segment::Procs(), {kSleeperSlot, sleeper.owner.generation + 1});
  SetLatch(Segment::Procs(), {kNoSlot, 1});
  SetLatch(Segment::Procs(), {kSleeperSlot + 1, 0});  // a slot never used
  kill(sleeper.child.pid(), SIGTERM);
  CHECK(sleeper.child.Succeeded());
}

TEST_CASE("reload and latch are told apart and taken once") {
  Child child([] {
    Latch::InstallHandlers();
    if (Latch::Pending()) return false;
    raise(SIGHUP);
    if (!Latch::Pending() || Latch::TakeLatch() || !Latch::TakeReload()) return false;
    if (Latch::TakeReload() || Latch::Pending()) return false;
    raise(SIGURG);
    if (!Latch::TakeLatch() || Latch::TakeLatch()) return false;
    raise(SIGTERM);
    return Latch::TerminateRequested() && Latch::TerminateRequested() && Latch::Pending();
  });
  CHECK(child.Succeeded());
}

TEST_CASE("a wait ends when its time has passed, and at once when something is pending") {
  Child child([] {
    Latch::InstallHandlers();
    const int64_t began_ns = MonotonicNs();
    if (Latch::Wait(30)) return false;
    if (MonotonicNs() - began_ns < 30'000'000) return false;
    raise(SIGURG);
    return Latch::Wait(-1) && Latch::TakeLatch();
  });
  CHECK(child.Succeeded());
}

TEST_CASE("a poll ends for bytes, for a wake-up and for its time") {
  const Sockets sockets;
  Child child([&] {
    Latch::InstallHandlers();
    pollfd wanted{.fd = sockets.ends[1], .events = POLLIN, .revents = 0};
    if (Latch::Poll({&wanted, 1}, 10) != 0) return false;
    raise(SIGURG);
    if (Latch::Poll({&wanted, 1}, -1) != -1 || errno != EINTR || !Latch::TakeLatch()) return false;
    if (send(sockets.ends[0], "x", 1, 0) != 1) return false;
    return Latch::Poll({&wanted, 1}, -1) == 1 && wanted.revents == POLLIN;
  });
  CHECK(child.Succeeded());
}

TEST_CASE("handlers leave errno and other sockets alone") {
  Child child([] {
    Latch::InstallHandlers();
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return false;
    Latch::GuardSocket(ends[0]);
    errno = EDOM;
    raise(SIGURG);
    if (errno != EDOM) return false;
    const auto nonblocking = [](int fd) { return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; };
    if (!nonblocking(ends[0]) || nonblocking(ends[1])) return false;
    Latch::Arm();
    if (nonblocking(ends[0])) return false;
    Latch::GuardSocket(-1);
    raise(SIGURG);
    return !nonblocking(ends[0]);
  });
  CHECK(child.Succeeded());
}

TEST_CASE("SIGQUIT ends a process at once and SIGINT does not") {
  SharedRegion region(4096);
  Shared& shared = *region.Allocate<Shared>();
  Child child([&] {
    Latch::InstallHandlers();
    raise(SIGINT);
    shared.ready.store(1);
    Latch::Wait(-1);
    return true;
  });
  REQUIRE(WaitFor([&] { return shared.ready.load() == 1; }));
  kill(child.pid(), SIGQUIT);
  const int status = child.Wait();
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 2);
}

}  // namespace warren::test
