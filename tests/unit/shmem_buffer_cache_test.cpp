// One process and the buffer cache.
#include "shmem/buffer_cache.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "shmem/buffer_mapping.h"
#include "shmem/stats.h"
#include "tests/support/segment_world.h"
#include "tests/support/test_page_io.h"

namespace warren::test {
namespace {

constexpr uint32_t kBuffers = 64;

struct CacheWorld {
  CacheWorld() { BufferCache::Bind(&io); }
  ~CacheWorld() {
    const Status status = BufferCache::CheckInvariants();
    CHECK_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message));
    CHECK(HeldLockCount() == 0);
  }
  SegmentWorld segment{SmallSegment(kBuffers)};
  TestPageIo io;
};

void Write(ExclusivePage& page, uint64_t version) {
  page.MarkDirty();
  reinterpret_cast<TestPage*>(page.bytes())->Set(page.page_no(), version);
}

void Put(PageNo page_no, uint64_t version) {
  Result<ExclusivePage> page = BufferCache::GetExclusive(page_no);
  REQUIRE(page.ok());
  Write(*page, version);
}

uint64_t VersionOf(PageNo page_no) {
  Result<SharedPage> page = BufferCache::GetShared(page_no);
  REQUIRE(page.ok());
  return page->As<TestPage>().version;
}

// Slots other than 0 take every buffer, or let them go: no process may hold so many by itself.
template <typename F>
void ForEachBufferAsOthers(F change) {
  for (BufferIndex buffer = 0; buffer < kBuffers; ++buffer) {
    Segment::BindProcess(1 + buffer / 24);
    change(g_buffer_pool.content_locks[buffer]);
  }
  Segment::BindProcess(0);
}

}  // namespace

TEST_CASE("a page that was changed is found changed, also after it left the cache") {
  CacheWorld world;
  for (PageNo page_no = 1; page_no <= kBuffers * 5; ++page_no) Put(page_no, page_no + 7);
  CHECK(Stats::Read(StatId::kBufferEvictions) >= kBuffers * 4);
  for (PageNo page_no = 1; page_no <= kBuffers * 5; ++page_no)
    CHECK(VersionOf(page_no) == page_no + 7);
}

TEST_CASE("a page in memory is not read again") {
  CacheWorld world;
  Put(5, 1);
  const uint64_t reads = world.io.state().reads.load();
  CHECK(VersionOf(5) == 1);
  CHECK(world.io.state().reads.load() == reads);
}

TEST_CASE("who remembers a buffer gets the page that it holds, without a look for it") {
  CacheWorld world;
  Put(0, 1);
  Put(5, 1);
  const uint64_t reads = world.io.state().reads.load();
  uint32_t found = 0;
  const auto check = [&](auto& page, BufferIndex buffer) {
    REQUIRE((page.page_no() == 0 || page.page_no() == 5));
    CHECK(page.buffer() == buffer);
    ++found;
    ExclusivePage again;  // our own lock is somebody's, too
    CHECK_FALSE(BufferCache::TryLockBuffer(buffer, &again));
  };
  for (BufferIndex buffer = 0; buffer <= kBuffers; ++buffer) {  // and one that there is not
    SharedPage shared;
    ExclusivePage exclusive;
    if (BufferCache::LockBuffer(buffer, &shared)) check(shared, buffer);
    shared.Release();
    if (BufferCache::LockBuffer(buffer, &exclusive)) check(exclusive, buffer);
    exclusive.Release();
    if (BufferCache::TryLockBuffer(buffer, &exclusive)) check(exclusive, buffer);
  }
  CHECK(found == 6);
  SharedPage none;
  CHECK_FALSE(BufferCache::LockBuffer(kNoBuffer, &none));
  CHECK(world.io.state().reads.load() == reads);
}

TEST_CASE("any bytes of any buffer may be prefetched and glimpsed at") {
  CacheWorld world;
  Put(5, 1);
  for (const BufferIndex buffer :
       {BufferIndex{0}, kBuffers - 1, BufferIndex{kBuffers}, kNoBuffer}) {
    for (const size_t offset :
         {size_t{0}, size_t{kPageBytes - 2}, size_t{kPageBytes}, ~size_t{1}}) {
      BufferCache::PrefetchLock(buffer);
      BufferCache::Prefetch(buffer, offset, 100);
      const uint16_t seen = BufferCache::Glimpse(buffer, offset);
      if (buffer >= kBuffers || offset >= kPageBytes) CHECK(seen == 0);
    }
  }
}

TEST_CASE("random reads and writes in a cache far smaller than the data agree with a model") {
  CacheWorld world;
  constexpr PageNo kPages = kBuffers * 20;
  std::vector<uint64_t> model(kPages + 1, 0);
  std::mt19937 random(4711);
  for (uint64_t step = 1; step < 20'000; ++step) {
    const auto page_no = static_cast<PageNo>(1 + random() % kPages);
    switch (random() % 4) {
      case 0:
        Put(page_no, step);
        model[page_no] = step;
        break;
      case 1: {
        Result<ExclusivePage> page = BufferCache::GetNew(page_no, 0);
        REQUIRE(page.ok());
        REQUIRE(page->As<TestPage>().Zero());
        Write(*page, step);
        model[page_no] = step;
        break;
      }
      default:
        REQUIRE(VersionOf(page_no) == model[page_no]);
    }
  }
  REQUIRE(BufferCache::WriteAll().ok());
  CHECK(BufferCache::CountBuffers().dirty == 0);
  for (PageNo page_no = 1; page_no <= kPages; ++page_no) {
    REQUIRE(world.io.OnDisk(page_no).version == model[page_no]);
  }
}

TEST_CASE("a downgraded page stays held and lets readers in") {
  CacheWorld world;
  Result<ExclusivePage> page = BufferCache::GetExclusive(3);
  REQUIRE(page.ok());
  Write(*page, 9);
  SharedPage shared = std::move(*page).Downgrade();
  CHECK_FALSE(page->held());
  CHECK(shared.held());
  CHECK(shared.As<TestPage>().version == 9);
  SharedPage moved = std::move(shared);
  CHECK_FALSE(shared.held());
  CHECK(moved.page_no() == 3);
}

TEST_CASE("a new page is all zero even if its former life is still in memory") {
  CacheWorld world;
  Put(8, 1);
  {
    Result<ExclusivePage> page = BufferCache::GetNew(8, 0);
    REQUIRE(page.ok());
    CHECK(page->As<TestPage>().Zero());
  }
  REQUIRE(BufferCache::WriteAll().ok());
  CHECK(world.io.OnDisk(8).Zero());
}

TEST_CASE("a failed read is reported and the next one tries again") {
  CacheWorld world;
  world.io.state().failing_reads = 2;
  const Result<SharedPage> shared = BufferCache::GetShared(4);
  REQUIRE_FALSE(shared.ok());
  CHECK(shared.error().code == ErrorCode::kIo);
  CHECK_FALSE(BufferCache::GetExclusive(4).ok());
  CHECK(HeldLockCount() == 0);
  CHECK(VersionOf(4) == 0);
}

TEST_CASE("a page that could not be written stays in memory and is written when there is room") {
  CacheWorld world;
  for (PageNo page_no = 1; page_no <= kBuffers; ++page_no) Put(page_no, page_no);
  world.io.state().failing_writes = -1;
  const Result<SharedPage> refused = BufferCache::GetShared(kBuffers + 1);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::kNoSpace);
  CHECK_FALSE(BufferCache::WriteAll().ok());
  for (PageNo page_no = 1; page_no <= kBuffers; ++page_no) CHECK(VersionOf(page_no) == page_no);
  world.io.state().failing_writes = 0;
  CHECK(VersionOf(kBuffers + 1) == 0);
  CHECK(BufferCache::WriteAll().ok());
  for (PageNo page_no = 1; page_no <= kBuffers; ++page_no) {
    CHECK(world.io.OnDisk(page_no).version == page_no);
  }
}

TEST_CASE("one clean buffer is enough when the disk refuses every write") {
  CacheWorld world;
  for (PageNo page_no = 1; page_no < kBuffers; ++page_no) Put(page_no, page_no);
  CHECK(VersionOf(kBuffers) == 0);
  world.io.state().failing_writes = -1;
  CHECK(VersionOf(kBuffers + 1) == 0);
  CHECK(VersionOf(kBuffers + 2) == 0);
  world.io.state().failing_writes = 0;
}

TEST_CASE("with every buffer held the answer is busy") {
  CacheWorld world;
  ForEachBufferAsOthers([](LWLock& lock) NO_THREAD_SAFETY_ANALYSIS { AcquireExclusive(lock); });
  AcquireShared(Segment::SettingsLock());  // who holds nothing waits for a free buffer
  const Result<SharedPage> page = BufferCache::GetShared(1);
  ReleaseShared(Segment::SettingsLock());
  REQUIRE_FALSE(page.ok());
  CHECK(page.error().code == ErrorCode::kBusy);
  ForEachBufferAsOthers([](LWLock& lock) NO_THREAD_SAFETY_ANALYSIS { ReleaseExclusive(lock); });
  CHECK(VersionOf(1) == 0);
}

TEST_CASE("the background writer cleans what the hand will meet, and nothing else") {
  CacheWorld world;
  for (PageNo page_no = 1; page_no <= kBuffers; ++page_no) Put(page_no, page_no);
  // All were just used, so that none is due.
  Result<uint32_t> written = BufferCache::WriteAhead(kBuffers, kBuffers);
  REQUIRE(written.ok());
  CHECK(*written == 0);
  // One eviction takes the hand round once and leaves the others unused.
  CHECK(VersionOf(kBuffers + 1) == 0);
  written = BufferCache::WriteAhead(kBuffers, 10);
  REQUIRE(written.ok());
  CHECK(*written == 10);
  CHECK(Stats::Read(StatId::kBufferWritesBackground) == 10);
  CHECK(BufferCache::CountBuffers().dirty == kBuffers - 11);
}

TEST_CASE("the log is flushed to a page's LSN before the page is written") {
  CacheWorld world;
  static std::vector<Lsn> flushed;
  static TestPageIoState* state;
  static uint64_t writes_before;
  flushed.clear();
  state = &world.io.state();
  writes_before = state->writes.load();
  BufferCache::SetLogFlushHook([](Lsn lsn) -> Status {
    flushed.push_back(lsn);
    if (state->writes.load() != writes_before)
      return MakeError(ErrorCode::kIo, "written before the log");
    return {};
  });
  Put(1, 77);
  CHECK(BufferCache::WriteAll().ok());
  CHECK(flushed == std::vector<Lsn>{77});
  SUBCASE("a log that can't be flushed keeps the page in memory") {
    Put(1, 78);
    CHECK_FALSE(BufferCache::WriteAll().ok());
    CHECK(world.io.OnDisk(1).version == 77);
    CHECK(BufferCache::CountBuffers().dirty == 1);
  }
  BufferCache::SetLogFlushHook(nullptr);
  CHECK(BufferCache::WriteAll().ok());
}

TEST_CASE("dropped pages are forgotten, with what was dirty in them") {
  CacheWorld world;
  for (PageNo page_no = 1; page_no <= 20; ++page_no) Put(page_no, 5);
  BufferCache::DropFrom(11);
  CHECK(BufferCache::CountBuffers().used == 10);
  REQUIRE(BufferCache::WriteAll().ok());
  for (PageNo page_no = 1; page_no <= 20; ++page_no) {
    CHECK(world.io.OnDisk(page_no).version == (page_no < 11 ? 5 : 0));
    CHECK(VersionOf(page_no) == (page_no < 11 ? 5 : 0));
  }
}

TEST_CASE("the chains can be made again from the descriptors alone") {
  CacheWorld world;
  for (PageNo page_no = 1; page_no <= kBuffers * 2; ++page_no) Put(page_no, page_no);
  for (uint32_t bucket = 0; bucket <= g_buffer_pool.bucket_mask; ++bucket) {
    g_buffer_pool.heads[bucket] = bucket % kBuffers;
  }
  for (BufferIndex buffer = 0; buffer < kBuffers; ++buffer)
    g_buffer_pool.descriptors[buffer].next = buffer;
  CHECK_FALSE(BufferCache::CheckInvariants().ok());
  for (uint32_t partition = 0; partition < kMappingPartitions; ++partition)
    RelinkPartition(partition);
  CHECK(BufferCache::CheckInvariants().ok());
  for (PageNo page_no = 1; page_no <= kBuffers * 2; ++page_no) CHECK(VersionOf(page_no) == page_no);
}

TEST_CASE("the checker finds each kind of damage") {
  CacheWorld world;
  for (PageNo page_no = 1; page_no <= 30; ++page_no) Put(page_no, page_no);
  BufferDescriptor& first = g_buffer_pool.descriptors[0];
  const uint64_t state = first.state.load();
  const BufferIndex next = first.next.load();
  const auto damage = [&](const char* what, auto&& make, auto&& undo) {
    make();
    CHECK_MESSAGE(!BufferCache::CheckInvariants().ok(), what);
    undo();
    CHECK_MESSAGE(BufferCache::CheckInvariants().ok(), what);
  };
  const auto put_back = [&] {
    first.state = state;
    first.next = next;
  };
  damage(
      "dirty, not valid", [&] { first.state = BufferState::Tagged(1).WithDirty().word(); },
      put_back);
  damage(
      "another page's tag", [&] { first.state = BufferState::Tagged(2).word(); }, put_back);
  damage(
      "empty, but on a chain", [&] { first.state = 0; }, put_back);
  damage(
      "a cycle", [&] { first.next = BufferIndex{0}; }, put_back);
  damage(
      "a link to nowhere", [&] { first.next = kBuffers + 3; }, put_back);
  std::atomic<BufferIndex>& head = g_buffer_pool.heads[BucketOf(BufferState(state).page_no())];
  const BufferIndex head_before = head.load();
  damage(
      "not on its chain", [&] { head = kNoBuffer; }, [&] { head = head_before; });
}

}  // namespace warren::test
