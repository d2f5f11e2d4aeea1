// Does a waiter whose reason has ended learn of it at whichever moment that happens?
//
// Were it to sleep on, it would wait for a lock that now guards something else, and whose owner may
// wait for what it holds: the order in which locks are taken says nothing about that.
#include <doctest/doctest.h>

#include <memory>
#include <utility>

#include "lwlock/lwlock.h"
#include "lwlock/test_point.h"
#include "tests/support/actors.h"
#include "tests/support/lock_world.h"

namespace warren::test {
namespace {

struct Moments {
  std::atomic<uint64_t> tag;        // what the lock guards
  std::atomic<uint32_t> arrived;    // waiters that have come to t_stop_at
  std::atomic<uint32_t> may_go_on;  // how many of them may leave it
};

inline thread_local Moments* t_moments = nullptr;
inline thread_local LockTestPoint t_stop_at;

bool WaitForCount(const std::atomic<uint32_t>& count, uint32_t at_least) {
  return WaitFor([&] { return count.load() >= at_least; });
}

// A lock that its one owner, slot 0, uses for one thing and then for another.
class Scene {
 public:
  Scene() {
    world_.Bind(0);
    AcquireExclusive(world_.lock());
  }
  // A sleeper that nobody wakes must be noticed, not be helped by its own time-out.
  ~Scene() { GetLockTuning().warn_timeout_ns = warn_timeout_ns_; }

  LWLock& lock() { return world_.lock(); }
  uint32_t word() { return lock().word.load(); }
  Moments& moments() { return *moments_; }

  // A child that wants the lock while the tag is 0, and has to give up. It stops once at `point`.
  std::unique_ptr<Child> StartConditional(SlotIndex slot, LockMode mode, LockTestPoint point) {
    return std::make_unique<Child>([this, slot, mode, point] {
      Begin(slot);
      t_moments = moments_;
      t_stop_at = point;
      t_lock_test_hook = [](LockTestPoint passed) {
        if (passed != t_stop_at) return;
        t_lock_test_hook = nullptr;
        const uint32_t place = t_moments->arrived.fetch_add(1) + 1;
        WaitForCount(t_moments->may_go_on, place);
      };
      const LockCondition tag_is_0{.word = &moments_->tag, .mask = ~uint64_t{0}, .value = 0};
      return mode == LockMode::kShared ? !AcquireSharedWhile(lock(), tag_is_0)
                                       : !AcquireExclusiveWhile(lock(), tag_is_0);
    });
  }

  // A child that wants it in any case; returns when it sleeps.
  std::unique_ptr<Child> StartPlain(SlotIndex slot, LockMode mode) {
    auto child = std::make_unique<Child>([this, slot, mode] {
      Begin(slot);
      mode == LockMode::kShared ? AcquireShared(lock()) : AcquireExclusive(lock());
      mode == LockMode::kShared ? ReleaseShared(lock()) : ReleaseExclusive(lock());
      return true;
    });
    WaitUntilAsleep(*child, slot);
    return child;
  }

  void WaitUntilAsleep(const Child& child, SlotIndex slot) {
    REQUIRE(WaitFor([&] { return world_.proc(slot).wait_event.load() != 0; }));
    REQUIRE(child.WaitUntilAsleep());
  }

  void ReleaseAndTakeAgain() {
    ReleaseExclusive(lock());
    AcquireExclusive(lock());
  }

  void ChangeTag() {
    moments_->tag = 1;
    RouseWaiters(lock());
  }

 private:
  void Begin(SlotIndex slot) {
    world_.Bind(slot);
    GetLockTuning().spin_rounds = 0;
  }

  int64_t warn_timeout_ns_ = std::exchange(GetLockTuning().warn_timeout_ns, 60'000'000'000);
  LockWorld world_{4};
  Moments* moments_ = world_.region().Allocate<Moments>();
};

}  // namespace

TEST_CASE("one who is about to sleep is not misled by a lock that looks as it did before") {
  for (const LockMode mode : {LockMode::kShared, LockMode::kExclusive}) {
    Scene scene;
    auto waiter = scene.StartConditional(1, mode, LockTestPoint::kBeforeWordSleep);
    REQUIRE(WaitForCount(scene.moments().arrived, 1));
    const uint32_t before = scene.word();
    scene.ChangeTag();
    scene.ReleaseAndTakeAgain();
    auto other = scene.StartPlain(2, mode);
    REQUIRE(scene.word() == before);
    scene.moments().may_go_on.store(1);
    CHECK(waiter->Succeeded());
    ReleaseExclusive(scene.lock());
    CHECK(other->Succeeded());
  }
}

TEST_CASE("a sleeper is roused although a release has taken its flag and woken another one") {
  Scene scene;
  const auto start = [&](SlotIndex slot) {
    auto child = scene.StartConditional(slot, LockMode::kExclusive, LockTestPoint::kSleptForWord);
    scene.WaitUntilAsleep(*child, slot);
    return child;
  };
  auto one = start(1);
  auto other = start(2);
  scene.ReleaseAndTakeAgain();  // wakes one of them, which is slow to look
  REQUIRE(WaitForCount(scene.moments().arrived, 1));
  REQUIRE((scene.word() & LWLock::kExclusiveWaiters) == 0);
  scene.ChangeTag();
  // The other one is roused as well.
  CHECK(WaitForCount(scene.moments().arrived, 2));
  scene.moments().may_go_on.store(2);
  CHECK(one->Succeeded());
  CHECK(other->Succeeded());
  ReleaseExclusive(scene.lock());
}

}  // namespace warren::test
