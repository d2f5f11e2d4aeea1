// Can processes that take pages in the agreed order ever wait for each other in a circle?
//
// They could, if a buffer changed its page between look-up and lock: the page that is waited for
// then is not the one that was asked for, and the order says nothing about it.
#include <doctest/doctest.h>

#include <sched.h>

#include <random>
#include <utility>

#include "base/clock.h"
#include "base/fault_point.h"
#include "shmem/buffer_cache.h"
#include "shmem/buffer_pool.h"
#include "tests/support/actors.h"
#include "tests/support/segment_world.h"
#include "tests/support/test_page_io.h"

namespace warren::test {
namespace {

constexpr uint32_t kBuffers = 16;
constexpr PageNo kFirst = 1;   // held by the one who asks for kSecond
constexpr PageNo kSecond = 2;  // loses its buffer meanwhile
constexpr PageNo kOthers = 100;

// A sleeper that nobody wakes must be noticed, not be helped by its own time-out.
class NoTimeOuts {
 public:
  NoTimeOuts() : before_(std::exchange(GetLockTuning().warn_timeout_ns, 60'000'000'000)) {}
  ~NoTimeOuts() {
    GetLockTuning().warn_timeout_ns = before_;
    ClearFaultActions();
  }

 private:
  int64_t before_;
};

struct Moments {
  std::atomic<uint32_t> found;     // the asker has found kSecond's buffer
  std::atomic<uint32_t> may_lock;  // and may go on to lock it
  std::atomic<uint32_t> evicting;  // kSecond's buffer is held as a victim
  std::atomic<uint32_t> may_tag;   // and may get its new page
};

struct Scene {
  Scene() : region(4096), moments(region.Allocate<Moments>()) {
    BufferCache::Bind(&io);
    Result<ExclusivePage> page = BufferCache::GetExclusive(kSecond);
    REQUIRE(page.ok());
    buffer = page->buffer();
  }
  LWLock& lock() const { return g_buffer_pool.content_locks[buffer]; }

  NoTimeOuts no_time_outs;
  SegmentWorld segment{SmallSegment(kBuffers)};
  TestPageIo io;
  SharedRegion region;
  Moments* moments;
  BufferIndex buffer;  // of kSecond
};

bool WaitForFlag(const std::atomic<uint32_t>& flag) {
  return WaitFor([&] { return flag.load() != 0; });
}

// Has the lock of the page's buffer sleepers that want it exclusively?
bool IsAwaited(PageNo page_no) {
  for (BufferIndex i = 0; i < kBuffers; ++i) {
    if (!g_buffer_pool.descriptors[i].Load().Holds(page_no)) continue;
    return (g_buffer_pool.content_locks[i].word.load() & LWLock::kExclusiveWaiters) != 0;
  }
  return false;
}

// Takes other pages until one is where kSecond was, and then, holding that one, kFirst. (The order
// between kFirst and the other pages is this test's own.)
bool EvictAndTakeFirst(const Scene& scene) {
  for (PageNo page_no = kOthers;; ++page_no) {
    const Result<ExclusivePage> other = BufferCache::GetExclusive(page_no);
    if (!other.ok()) return false;
    if (other->buffer() != scene.buffer) continue;
    return BufferCache::GetExclusive(kFirst).ok();
  }
}

}  // namespace

TEST_CASE("a buffer that changed its page between look-up and lock is not waited for") {
  Scene scene;
  Child asker([&] {
    Segment::BindProcess(1);
    const Result<ExclusivePage> first = BufferCache::GetExclusive(kFirst);
    SetFaultAction(
        FaultPoint::kBufferLock,
        [](FaultPoint, void* context) -> Status {
          auto& moments = *static_cast<Moments*>(context);
          moments.found.store(1);
          WaitForFlag(moments.may_lock);
          return {};
        },
        scene.moments);
    return first.ok() && BufferCache::GetExclusive(kSecond).ok();
  });
  REQUIRE(WaitForFlag(scene.moments->found));
  Child evictor([&] {
    Segment::BindProcess(2);
    return EvictAndTakeFirst(scene);
  });
  REQUIRE(WaitFor([] { return IsAwaited(kFirst); }));
  scene.moments->may_lock.store(1);
  CHECK(asker.Succeeded());
  CHECK(evictor.Succeeded());
}

TEST_CASE("who sleeps for a buffer is woken when it changes its page") {
  Scene scene;
  // The asker must have kFirst before the eviction begins, and kSecond must be the next victim.
  Child asker([&] {
    Segment::BindProcess(1);
    const Result<ExclusivePage> first = BufferCache::GetExclusive(kFirst);
    scene.moments->found.store(1);
    return WaitForFlag(scene.moments->evicting) && first.ok() &&
           BufferCache::GetExclusive(kSecond).ok();
  });
  REQUIRE(WaitForFlag(scene.moments->found));
  Child evictor([&] {
    Segment::BindProcess(2);
    SetFaultAction(
        FaultPoint::kBufferEvict,
        [](FaultPoint, void* context) -> Status {
          const Scene& here = *static_cast<const Scene*>(context);
          if (!HoldsExclusive(here.lock())) return {};
          here.moments->evicting.store(1);
          WaitForFlag(here.moments->may_tag);
          return {};
        },
        &scene);
    return EvictAndTakeFirst(scene);
  });
  REQUIRE(WaitFor([&] { return IsAwaited(kSecond); }));
  REQUIRE(asker.WaitUntilAsleep());
  scene.moments->may_tag.store(1);
  CHECK(asker.Succeeded());
  CHECK(evictor.Succeeded());
}

TEST_CASE("pages that are always taken in one order are never waited for in a circle") {
  const auto test = [](ActorForm form) {
    const NoTimeOuts no_time_outs;
    // So few buffers that they change their pages between look-up and lock all the time.
    const SegmentWorld segment(SmallSegment(kBuffers));
    TestPageIo io;
    BufferCache::Bind(&io);
    SetFaultAction(FaultPoint::kBufferLock, [](FaultPoint, void*) -> Status {
      sched_yield();
      return {};
    });
    const int64_t began_ns = MonotonicNs();
    CHECK(RunActors(form, 4, [&](int me) {
      Segment::BindProcess(static_cast<SlotIndex>(me));
      std::mt19937 random(static_cast<unsigned>(me) + 1);
      const auto below = [&](uint32_t limit) { return static_cast<PageNo>(random() % limit); };
      for (int i = 0; i < (FullForm() ? 20'000 : 1'000); ++i) {
        const PageNo left = below(62);
        const Result<ExclusivePage> first = BufferCache::GetExclusive(left);
        const Result<ExclusivePage> second = BufferCache::GetExclusive(left + 1 + below(63 - left));
        if (!first.ok() || !second.ok()) return false;
      }
      return HeldLockCount() == 0;
    }));
    CHECK(MonotonicNs() - began_ns < 50'000'000'000);
    CHECK(BufferCache::CheckInvariants().ok());
  };
  SUBCASE("as threads") { test(ActorForm::kThreads); }
  SUBCASE("as processes") { test(ActorForm::kProcesses); }
}

}  // namespace warren::test
