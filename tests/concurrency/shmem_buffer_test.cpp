// Does the buffer cache hold under many? Each body runs as threads and as forked processes.
#include <doctest/doctest.h>
#include <sched.h>

#include <random>

#include "base/fault_point.h"
#include "shmem/buffer_cache.h"
#include "shmem/stats.h"
#include "tests/support/actors.h"
#include "tests/support/segment_world.h"
#include "tests/support/test_page_io.h"

namespace warren::test {
namespace {

constexpr int kActors = 8;
constexpr uint32_t kFewBuffers = 24;

void ForBothForms(FunctionRef<void(ActorForm)> test) {
  SUBCASE("as threads") { test(ActorForm::kThreads); }
  SUBCASE("as processes") { test(ActorForm::kProcesses); }
}

// A cache of few buffers over a file, and what each page's last version should be.
struct CacheWorld {
  explicit CacheWorld(uint32_t buffers, uint32_t pages)
      : segment(SmallSegment(buffers)),
        page_count(pages),
        region(4096 + pages * sizeof(std::atomic<uint64_t>)),
        changes(region.Allocate<std::atomic<uint64_t>>(pages)) {
    BufferCache::Bind(&io);
  }
  ~CacheWorld() { ClearFaultActions(); }

  // Everything at rest: the chains are whole, nothing is held, and each page in the file has had
  // every change that was made.
  void CheckAtRest() {
    Segment::BindProcess(0);
    const Status invariants = BufferCache::CheckInvariants();
    CHECK_MESSAGE(invariants.ok(), (invariants.ok() ? "" : invariants.error().message));
    CHECK(BufferCache::WriteAll().ok());
    CHECK(BufferCache::CountBuffers().dirty == 0);
    for (const Proc& proc : Segment::Procs().slots()) {
      CHECK(proc.locks.pending_lock.load() == nullptr);
      CHECK(proc.locks.held[0].load() == 0);
      CHECK(proc.locks.timeouts_on_free_lock.load() == 0);
    }
    for (PageNo page_no = 0; page_no < page_count; ++page_no) {
      const TestPage page = io.OnDisk(page_no);
      REQUIRE((page.Whole(page_no) || page.Zero()));
      REQUIRE(page.version == changes[page_no].load());
    }
  }

  SegmentWorld segment;
  uint32_t page_count;
  SharedRegion region;
  std::atomic<uint64_t>* changes;  // per page, counted while it was held exclusively
  TestPageIo io;
};

// One actor's view: its own slot, its own random numbers.
class Worker {
 public:
  Worker(CacheWorld& world, int me) : world_(world), random_(static_cast<unsigned>(me) + 1) {
    Segment::BindProcess(static_cast<SlotIndex>(me));
  }

  uint32_t Random(uint32_t below) { return static_cast<uint32_t>(random_() % below); }

  // False if what was found is wrong; an error of the disk, or a full cache, only means "not done".
  bool Change(PageNo page_no) {
    Result<ExclusivePage> page = BufferCache::GetExclusive(page_no);
    if (!page.ok()) return Expected(page.error());
    if (!Right(page_no, page->As<TestPage>())) return false;
    page->MarkDirty();
    reinterpret_cast<TestPage*>(page->bytes())
        ->Set(page_no, world_.changes[page_no].fetch_add(1) + 1);
    return true;
  }

  bool Look(PageNo page_no) {
    const Result<SharedPage> page = BufferCache::GetShared(page_no);
    return page.ok() ? Right(page_no, page->As<TestPage>()) : Expected(page.error());
  }

  bool Clean() {
    const Result<uint32_t> written = BufferCache::WriteAhead(kFewBuffers, 4);
    return written.ok() || Expected(written.error());
  }

 private:
  static bool Expected(const Error& error) {
    return error.code == ErrorCode::kBusy || error.code == ErrorCode::kNoSpace ||
           error.code == ErrorCode::kIo;
  }
  bool Right(PageNo page_no, const TestPage& page) const {
    const bool whole = page.Whole(page_no) || page.Zero();
    return whole && page.version == world_.changes[page_no].load();
  }

  CacheWorld& world_;
  std::mt19937 random_;
};

// Lets the others run, at the moments when a mistake in the order of steps would show; not always,
// so that the moments meet in many ways.
Status GiveWay(FaultPoint, void*) {
  static thread_local uint32_t passes = 0;
  if (++passes % 3 == 0) sched_yield();
  return {};
}

void WidenWindows(TestPageIo& io) {
  for (const FaultPoint point :
       {FaultPoint::kBufferLock, FaultPoint::kBufferRead, FaultPoint::kBufferSetValid,
        FaultPoint::kBufferFlushLog, FaultPoint::kBufferWrite, FaultPoint::kBufferClearDirty,
        FaultPoint::kBufferEvict, FaultPoint::kBufferUnlink, FaultPoint::kBufferTag,
        FaultPoint::kBufferLink}) {
    SetFaultAction(point, GiveWay);
  }
  io.set_inside_copy([] { sched_yield(); });
}

}  // namespace

TEST_CASE(
    "pages that eight modify, evict and write out at once are on disk in their last version") {
  ForBothForms([](ActorForm form) {
    CacheWorld world(kFewBuffers, 64);
    WidenWindows(world.io);
    const int rounds = FullForm() ? 20'000 : 1'000;
    CHECK(RunActors(form, kActors, [&](int me) {
      Worker worker(world, me);
      for (int i = 0; i < rounds; ++i) {
        if (me == 0 && i % 4 == 0 && !worker.Clean()) return false;
        if (!worker.Change(worker.Random(64))) return false;
        if (!worker.Look(worker.Random(64))) return false;
      }
      return HeldLockCount() == 0;
    }));
    CHECK(Stats::Read(StatId::kBufferEvictions) > 500);
    CHECK(Stats::Read(StatId::kBufferWritesBackend) > 500);
    world.CheckAtRest();
  });
}

TEST_CASE("a whole write-out under load catches every page that was dirty when it began") {
  ForBothForms([](ActorForm form) {
    CacheWorld world(kFewBuffers, 64);
    WidenWindows(world.io);
    CHECK(RunActors(form, kActors, [&](int me) {
      Worker worker(world, me);
      for (int i = 0; i < 200; ++i) {
        if (me == 0) {
          const PageNo page_no = worker.Random(64);
          if (!worker.Change(page_no)) return false;
          const uint64_t version = world.changes[page_no].load();
          if (!BufferCache::WriteAll().ok()) return false;
          if (world.io.OnDisk(page_no).version < version) return false;
        } else if (!worker.Change(worker.Random(64))) {
          return false;
        }
      }
      return true;
    }));
    world.CheckAtRest();
  });
}

TEST_CASE("data far larger than the cache is read as it was written") {
  ForBothForms([](ActorForm form) {
    CacheWorld world(kFewBuffers, 2'000);
    CHECK(RunActors(form, kActors, [&](int me) {
      Worker worker(world, me);
      for (int i = 0; i < 2'000; ++i) {
        const PageNo page_no = worker.Random(2'000);
        if (!(i % 3 == 0 ? worker.Change(page_no) : worker.Look(page_no))) return false;
      }
      return true;
    }));
    world.CheckAtRest();
  });
}

TEST_CASE("a page that many miss at once is read once") {
  ForBothForms([](ActorForm form) {
    constexpr uint32_t kPages = 100;
    CacheWorld world(2 * kPages + kActors, kPages);
    WidenWindows(world.io);
    CHECK(RunActors(form, kActors, [&](int me) {
      Worker worker(world, me);
      for (PageNo page_no = 0; page_no < kPages; ++page_no) {
        if (!(me % 2 == 0 ? worker.Look(page_no) : worker.Change(page_no))) return false;
      }
      return true;
    }));
    CHECK(world.io.state().reads.load() == kPages);
    world.CheckAtRest();
  });
}

TEST_CASE("a disk that fails now and then loses nothing") {
  ForBothForms([](ActorForm form) {
    CacheWorld world(kFewBuffers, 64);
    WidenWindows(world.io);
    CHECK(RunActors(form, kActors, [&](int me) {
      Worker worker(world, me);
      for (int i = 0; i < 400; ++i) {
        if (me == 1 && i % 10 == 0) world.io.state().failing_reads.store(2);
        if (me == 2 && i % 10 == 0) world.io.state().failing_writes.store(3);
        const PageNo page_no = worker.Random(64);
        if (!(i % 2 == 0 ? worker.Change(page_no) : worker.Look(page_no))) return false;
      }
      return true;
    }));
    world.io.state().failing_reads.store(0);
    world.io.state().failing_writes.store(0);
    world.CheckAtRest();
  });
}

}  // namespace warren::test
