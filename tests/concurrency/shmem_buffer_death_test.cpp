// Can the cache be made whole after a process was killed at any step of a read, write or eviction?
//
// The repair is what the descriptors promise: chains are linked again from them, and nothing else
// needs doing.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <string>

#include "base/fault_point.h"
#include "lwlock/repair.h"
#include "shmem/buffer_cache.h"
#include "tests/support/actors.h"
#include "tests/support/segment_world.h"
#include "tests/support/test_page_io.h"

namespace warren::test {
namespace {

constexpr uint32_t kBuffers = 16;
constexpr PageNo kPages = 2 * kBuffers;
constexpr SlotIndex kVictimSlot = 1;

class Repairs {
 public:
  Repairs() { BufferCache::RegisterRepairs(); }
  ~Repairs() {
    RegisterRepair(TrancheId::kBufferMapping, nullptr);
    RegisterRepair(TrancheId::kBufferContent, nullptr);
    ClearFaultActions();
  }
};

void Put(PageNo page_no, uint64_t version) {
  Result<ExclusivePage> page = BufferCache::GetExclusive(page_no);
  REQUIRE(page.ok());
  page->MarkDirty();
  reinterpret_cast<TestPage*>(page->bytes())->Set(page_no, version);
}

// Dies at the point when it has been passed `passes` times before.
struct Doom {
  FaultPoint point;
  int passes;
};

Status DieWhenDue(FaultPoint, void* context) {
  if (static_cast<Doom*>(context)->passes-- == 0) kill(getpid(), SIGKILL);
  return {};
}

// Reads pages that are not cached, so that dirty ones are written and evicted on the way.
bool ReadMany(Doom& doom) {
  Segment::BindProcess(kVictimSlot);
  SetFaultAction(doom.point, DieWhenDue, &doom);
  for (PageNo page_no = kBuffers + 1; page_no <= kPages; ++page_no) {
    if (!BufferCache::GetShared(page_no).ok()) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("the cache is whole again after a death at each step of reading, writing and evicting") {
  constexpr FaultPoint kPoints[] = {
      FaultPoint::kBufferRead,   FaultPoint::kBufferSetValid,   FaultPoint::kBufferFlushLog,
      FaultPoint::kBufferWrite,  FaultPoint::kBufferClearDirty, FaultPoint::kBufferEvict,
      FaultPoint::kBufferUnlink, FaultPoint::kBufferTag,        FaultPoint::kBufferLink};
  const Repairs repairs;
  for (const FaultPoint point : kPoints) {
    for (const int passes : {0, 1, 9}) {
      CAPTURE(std::string(FaultPointName(point)));
      CAPTURE(passes);
      const SegmentWorld segment(SmallSegment(kBuffers));
      TestPageIo io;
      BufferCache::Bind(&io);
      for (PageNo page_no = 1; page_no <= kBuffers; ++page_no) Put(page_no, page_no);
      Doom doom{point, passes};
      Child child([&] { return ReadMany(doom); });
      REQUIRE(child.WasKilled());
      LockProc& dead = Segment::Procs()[kVictimSlot].locks;
      REQUIRE(ReleaseLocksOfDead(Segment::Locks(), dead, kVictimSlot));
      const Status status = BufferCache::CheckInvariants();
      CHECK_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message));
      for (PageNo page_no = 1; page_no <= kPages; ++page_no) {
        const Result<SharedPage> page = BufferCache::GetShared(page_no);
        REQUIRE(page.ok());
        CHECK(page->As<TestPage>().version == (page_no <= kBuffers ? page_no : 0));
      }
      REQUIRE(BufferCache::WriteAll().ok());
      for (PageNo page_no = 1; page_no <= kBuffers; ++page_no) {
        CHECK(io.OnDisk(page_no).version == page_no);
      }
    }
  }
}

}  // namespace warren::test
