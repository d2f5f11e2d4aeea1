// Is the lock order enforced, with both locks and both places named?
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <string>

#include "base/log.h"
#include "lwlock/lwlock.h"
#include "tests/support/actors.h"
#include "tests/support/lock_world.h"
#include "tests/unit/temporary_directory.h"

namespace warren::test {
namespace {

bool Aborted(const ChildOutput& output) {
  return WIFSIGNALED(output.status) && WTERMSIG(output.status) == SIGABRT;
}

bool Contains(const ChildOutput& output, const std::string& text) {
  return output.text.find(text) != std::string::npos;
}

}  // namespace

#ifndef NDEBUG
TEST_CASE("an acquire against the lock order aborts and names both locks and both places") {
  LockWorld world(1, 1, 3);
  world.Bind(0);
  int first_line = 0;
  int second_line = 0;
  const auto against = [&] {
    AcquireShared(world.several(2));
    AcquireExclusive(world.lock());
  };
  first_line = __LINE__ - 3;
  second_line = __LINE__ - 3;
  const ChildOutput output = RunAndCapture(against);
  CHECK(Aborted(output));
  CHECK_MESSAGE(Contains(output, "lock order"), output.text);
  CHECK_MESSAGE(Contains(output, "wants test 0 (rank 200)"), output.text);
  CHECK_MESSAGE(Contains(output, "while holding test_several 2 (rank 210)"), output.text);
  CHECK_MESSAGE(Contains(output, "lwlock_rank_test.cpp:" + std::to_string(first_line)),
                output.text);
  CHECK_MESSAGE(Contains(output, "lwlock_rank_test.cpp:" + std::to_string(second_line)),
                output.text);
}

TEST_CASE("two locks of a tranche that allows one abort") {
  LockWorld world(1, 2);
  world.Bind(0);
  const ChildOutput output = RunAndCapture([&] {
    AcquireShared(world.lock(0));
    AcquireShared(world.lock(1));
  });
  CHECK(Aborted(output));
  CHECK_MESSAGE(Contains(output, "wants test 1"), output.text);
}

TEST_CASE("acquiring a lock that one holds aborts") {
  LockWorld world(1, 0, 1);
  world.Bind(0);
  const ChildOutput output = RunAndCapture([&] {
    AcquireShared(world.several(0));
    AcquireExclusive(world.several(0));
  });
  CHECK(Aborted(output));
  CHECK_MESSAGE(Contains(output, "which it holds since"), output.text);
}
#endif

TEST_CASE("releasing what one does not hold aborts") {
  LockWorld world(1, 1);
  world.Bind(0);
  const ChildOutput output = RunAndCapture([&] {
    AcquireShared(world.lock());
    ReleaseExclusive(world.lock());
  });
  CHECK(Aborted(output));
  CHECK_MESSAGE(Contains(output, "releasing test 0, which is not held so"), output.text);
}

TEST_CASE("tries and locks of one rank are exempt from the order") {
  LockWorld world(1, 1, 2);
  world.Bind(0);
  const auto allowed = [&] {
    AcquireShared(world.several(1));
    AcquireShared(world.several(0));
    if (TryAcquireExclusive(world.lock())) ReleaseExclusive(world.lock());
    ReleaseShared(world.several(0));
    ReleaseShared(world.several(1));
    return HeldLockCount() == 0;
  };
  CHECK(allowed());
}

TEST_CASE("a sleeper logs who holds the lock it waits for") {
  LockWorld world(70);
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/log";
  world.Bind(1);
  AcquireExclusive(world.lock());
  Child waiter([&] {
    world.Bind(65);
    GetLockTuning().warn_timeout_ns = 1'000'000;
    if (!log::Configure({.file = file})) return false;
    SharedLock hold(world.lock());
    return true;
  });
  std::string text;
  CHECK(WaitFor([&] {
    std::getline(std::ifstream(file), text);
    return !text.empty();
  }));
  ReleaseExclusive(world.lock());
  CHECK(waiter.Succeeded());
  CHECK_MESSAGE(text.find("waiting for lwlock test 0") != std::string::npos, text);
  CHECK_MESSAGE(text.find("held by slot 1 exclusively") != std::string::npos, text);
  CHECK(world.proc(65).timeouts_on_free_lock.load() == 0);
}

}  // namespace warren::test
