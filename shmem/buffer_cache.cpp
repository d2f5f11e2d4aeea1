#include "shmem/buffer_cache.h"

#include <algorithm>
#include <ctime>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/ordered_store.h"
#include "lwlock/repair.h"
#include "shmem/buffer_io.h"
#include "shmem/buffer_mapping.h"
#include "shmem/clock_sweep.h"
#include "shmem/segment.h"

namespace warren {
namespace {

// How long a process that holds nothing waits for a free buffer before it says kBusy.
constexpr int64_t kFreeBufferTimeoutNs = 2'000'000'000;
constexpr int64_t kFreeBufferPauseNs = 200'000;

LWLock& ContentLock(BufferIndex buffer) { return g_buffer_pool.content_locks[buffer]; }
BufferDescriptor& Descriptor(BufferIndex buffer) { return g_buffer_pool.descriptors[buffer]; }

// Locks a buffer that FindBuffer named. False, not held, if it belongs to another page by now: that
// one may be held by a process that waits, in the order of pages, for one that we hold.
bool LockIfHolds(BufferIndex buffer, PageNo page_no, LockMode mode) NO_THREAD_SAFETY_ANALYSIS {
  const LockCondition same_page{.word = &Descriptor(buffer).state,
                                .mask = BufferState::TagMask(),
                                .value = BufferState::Tagged(page_no).word()};
  FAULT_POINT(kBufferLock);
  if (mode == LockMode::kShared) return AcquireSharedWhile(ContentLock(buffer), same_page);
  return AcquireExclusiveWhile(ContentLock(buffer), same_page);
}

void NoteHit(BufferIndex buffer) {
  Stats::Add(StatId::kBufferHits);
  NoteUsage(Descriptor(buffer));
}

void Release(BufferIndex buffer, LockMode mode) NO_THREAD_SAFETY_ANALYSIS {
  if (mode == LockMode::kShared) {
    ReleaseShared(ContentLock(buffer));
  } else {
    ReleaseExclusive(ContentLock(buffer));
  }
}

// Has the page that a locked buffer holds been read? If not, lets it go.
bool KeepIfValid(BufferIndex buffer, LockMode mode) {
  if (!Descriptor(buffer).Load().valid()) {
    Release(buffer, mode);
    return false;
  }
  NoteHit(buffer);
  return true;
}

// Locks a buffer with the page that it holds; false, not held, if that is none or changes
// meanwhile.
bool LockWhatItHolds(BufferIndex buffer, LockMode mode, PageNo* page_no) {
  if (buffer >= g_buffer_pool.count) return false;
  const BufferState state = Descriptor(buffer).Load();
  *page_no = state.page_no();
  return state.valid() && LockIfHolds(buffer, *page_no, mode) && KeepIfValid(buffer, mode);
}

// TakeVictim, which a process that holds nothing repeats for a while when all are in use: whoever
// holds buffers waits for nobody that could wait for this one.
Result<BufferIndex> WaitForVictim() {
  Result<BufferIndex> victim = TakeVictim();
  if (victim.ok() || victim.error().code != ErrorCode::kBusy || HeldLockCount() != 0) return victim;
  const ScopedWait wait(WaitEvent::kFreeBuffer);
  const int64_t deadline_ns = MonotonicNs() + kFreeBufferTimeoutNs;
  while (!victim.ok() && victim.error().code == ErrorCode::kBusy && MonotonicNs() < deadline_ns) {
    const timespec pause{.tv_sec = 0, .tv_nsec = kFreeBufferPauseNs};
    nanosleep(&pause, nullptr);
    victim = TakeVictim();
  }
  return victim;
}

// A buffer newly tagged for the page, held exclusively; kNoBuffer if another process was faster.
Result<BufferIndex> TakeBufferFor(PageNo page_no) NO_THREAD_SAFETY_ANALYSIS {
  ASSIGN_OR_RETURN(const BufferIndex victim, WaitForVictim());
  const bool evicts = Descriptor(victim).Load().in_use();
  FAULT_POINT(kBufferEvict);
  if (TagBuffer(victim, page_no) != kNoBuffer) {
    ReleaseExclusive(ContentLock(victim));
    return kNoBuffer;
  }
  // Whoever waits for the former page looks for it elsewhere.
  RouseWaiters(ContentLock(victim));
  Descriptor(victim).usage.store(1, std::memory_order_relaxed);
  if (evicts) Stats::Add(StatId::kBufferEvictions);
  return victim;
}

// The page's buffer, in the cache already or newly tagged, held exclusively, valid or not.
Result<BufferIndex> LockBufferOf(PageNo page_no) {
  for (;;) {
    const BufferIndex found = FindBuffer(page_no);
    if (found != kNoBuffer) {
      if (LockIfHolds(found, page_no, LockMode::kExclusive)) return found;
      continue;
    }
    ASSIGN_OR_RETURN(const BufferIndex taken, TakeBufferFor(page_no));
    if (taken != kNoBuffer) return taken;
  }
}

Result<BufferIndex> LockValid(PageNo page_no) NO_THREAD_SAFETY_ANALYSIS {
  ASSIGN_OR_RETURN(const BufferIndex buffer, LockBufferOf(page_no));
  if (Descriptor(buffer).Load().valid()) {
    NoteHit(buffer);
    return buffer;
  }
  if (Status read = ReadIn(buffer); !read.ok()) {
    Descriptor(buffer).usage.store(0, std::memory_order_relaxed);
    ReleaseExclusive(ContentLock(buffer));
    return std::move(read).error();
  }
  return buffer;
}

}  // namespace

SharedPage& SharedPage::operator=(SharedPage&& other) noexcept {
  if (this == &other) return *this;
  Release();
  buffer_ = std::exchange(other.buffer_, kNoBuffer);
  page_no_ = other.page_no_;
  bytes_ = other.bytes_;
  return *this;
}

void SharedPage::Release() NO_THREAD_SAFETY_ANALYSIS {
  if (!held()) return;
  ReleaseShared(ContentLock(std::exchange(buffer_, kNoBuffer)));
}

ExclusivePage& ExclusivePage::operator=(ExclusivePage&& other) noexcept {
  if (this == &other) return *this;
  Release();
  buffer_ = std::exchange(other.buffer_, kNoBuffer);
  page_no_ = other.page_no_;
  bytes_ = other.bytes_;
  return *this;
}

void ExclusivePage::Release() NO_THREAD_SAFETY_ANALYSIS {
  if (!held()) return;
  ReleaseExclusive(ContentLock(std::exchange(buffer_, kNoBuffer)));
}

void ExclusivePage::MarkDirty() {
  BufferDescriptor& descriptor = Descriptor(buffer_);
  const BufferState state = descriptor.Load();
  DCHECK(HoldsExclusive(ContentLock(buffer_)) && state.Holds(page_no_) && state.valid());
  // Before the bytes: a death between the two must not leave a changed page that looks clean.
  if (!state.dirty()) StoreBefore(descriptor.state, state.WithDirty().word());
}

bool ExclusivePage::dirty() const { return Descriptor(buffer_).Load().dirty(); }

SharedPage ExclusivePage::Downgrade() && {
  warren::Downgrade(ContentLock(buffer_));
  return {std::exchange(buffer_, kNoBuffer), page_no_, bytes_};
}

void BufferCache::Bind(PageIo* io) { SetPageIo(io); }

bool BufferCache::IsUnchanged(BufferIndex buffer, PageNo page_no, Lsn lsn) noexcept {
  const BufferDescriptor& descriptor = g_buffer_pool.descriptors[buffer];
  const auto holds = [&] {
    const BufferState state = descriptor.Load();
    return state.Holds(page_no) && state.valid();
  };
  if (!holds()) return false;
  // A page begins with its LSN, which a change stores last (relaxed: the two looks at the
  // descriptor are the fence that matters, and a change that comes later is one that came later).
  Lsn& found = *reinterpret_cast<Lsn*>(g_buffer_pool.Page(buffer));
  return std::atomic_ref<Lsn>(found).load(std::memory_order_acquire) == lsn && holds();
}

void BufferCache::SetLogFlushHook(Status (*flush_log)(Lsn lsn)) { SetBufferLogFlush(flush_log); }

bool BufferCache::FindShared(PageNo page_no, SharedPage* page) {
  for (;;) {
    const BufferIndex buffer = FindBuffer(page_no);
    if (buffer == kNoBuffer) return false;
    if (!LockIfHolds(buffer, page_no, LockMode::kShared)) continue;
    if (!KeepIfValid(buffer, LockMode::kShared)) return false;
    *page = SharedPage(buffer, page_no, g_buffer_pool.Page(buffer));
    return true;
  }
}

bool BufferCache::LockBuffer(BufferIndex buffer, SharedPage* page) {
  DCHECK(!page->held());
  PageNo page_no = kNoPage;
  if (!LockWhatItHolds(buffer, LockMode::kShared, &page_no)) return false;
  *page = SharedPage(buffer, page_no, g_buffer_pool.Page(buffer));
  return true;
}

bool BufferCache::LockBuffer(BufferIndex buffer, ExclusivePage* page) {
  DCHECK(!page->held());
  PageNo page_no = kNoPage;
  if (!LockWhatItHolds(buffer, LockMode::kExclusive, &page_no)) return false;
  *page = ExclusivePage(buffer, page_no, g_buffer_pool.Page(buffer));
  return true;
}

bool BufferCache::TryLockBuffer(BufferIndex buffer, ExclusivePage* page) NO_THREAD_SAFETY_ANALYSIS {
  DCHECK(!page->held());
  if (buffer >= g_buffer_pool.count || !TryAcquireExclusive(ContentLock(buffer))) return false;
  if (!KeepIfValid(buffer, LockMode::kExclusive)) return false;
  *page = ExclusivePage(buffer, Descriptor(buffer).Load().page_no(), g_buffer_pool.Page(buffer));
  return true;
}

void BufferCache::PrefetchLock(BufferIndex buffer) {
  if (buffer >= g_buffer_pool.count) return;
  constexpr int kForWriting = 1;
  __builtin_prefetch(&ContentLock(buffer), kForWriting);
  __builtin_prefetch(&Descriptor(buffer));
}

void BufferCache::Prefetch(BufferIndex buffer, size_t offset, size_t bytes) {
  if (buffer >= g_buffer_pool.count || offset >= kPageBytes) return;
  const std::byte* const page = g_buffer_pool.Page(buffer);
  const size_t end = std::min<size_t>(offset + bytes, kPageBytes);
  for (size_t at = offset / kCacheLineBytes * kCacheLineBytes; at < end; at += kCacheLineBytes) {
    __builtin_prefetch(page + at);
  }
}

// A data race on purpose, of which no sanitizer need tell: whoever has the page changes it by plain
// stores.
__attribute__((no_sanitize_thread)) uint16_t BufferCache::Glimpse(BufferIndex buffer,
                                                                  size_t offset) {
  if (buffer >= g_buffer_pool.count || offset > kPageBytes - sizeof(uint16_t)) return 0;
  return *reinterpret_cast<const volatile uint16_t*>(g_buffer_pool.Page(buffer) + offset);
}

Result<SharedPage> BufferCache::GetSharedSlow(PageNo page_no) {
  ASSIGN_OR_RETURN(ExclusivePage page, GetExclusive(page_no));
  return std::move(page).Downgrade();
}

Result<ExclusivePage> BufferCache::GetExclusive(PageNo page_no) {
  ASSIGN_OR_RETURN(const BufferIndex buffer, LockValid(page_no));
  return ExclusivePage(buffer, page_no, g_buffer_pool.Page(buffer));
}

Result<ExclusivePage> BufferCache::GetNew(PageNo page_no, Lsn lsn) {
  ASSIGN_OR_RETURN(const BufferIndex buffer, LockBufferOf(page_no));
  MakeZero(buffer, lsn);
  return ExclusivePage(buffer, page_no, g_buffer_pool.Page(buffer));
}

Result<ExclusivePage> BufferCache::TryGetNew(PageNo page_no, Lsn lsn) NO_THREAD_SAFETY_ANALYSIS {
  for (;;) {
    BufferIndex buffer = FindBuffer(page_no);
    if (buffer == kNoBuffer) {
      ASSIGN_OR_RETURN(buffer, TakeBufferFor(page_no));
      if (buffer == kNoBuffer) continue;
    } else {
      if (!TryAcquireExclusive(ContentLock(buffer))) return ExclusivePage();
      if (!Descriptor(buffer).Load().Holds(page_no)) {
        ReleaseExclusive(ContentLock(buffer));
        continue;
      }
    }
    MakeZero(buffer, lsn);
    return ExclusivePage(buffer, page_no, g_buffer_pool.Page(buffer));
  }
}

Result<uint32_t> BufferCache::WriteAhead(uint32_t look_at,
                                         uint32_t write_at_most) NO_THREAD_SAFETY_ANALYSIS {
  uint32_t written = 0;
  BufferIndex buffer = ClockPosition();
  for (uint32_t i = 0; i < look_at && i < g_buffer_pool.count && written < write_at_most; ++i) {
    const BufferIndex here = buffer;
    buffer = (buffer + 1) % g_buffer_pool.count;
    BufferDescriptor& descriptor = Descriptor(here);
    const bool due =
        descriptor.Load().dirty() && descriptor.usage.load(std::memory_order_relaxed) == 0;
    if (!due || !TryAcquireShared(ContentLock(here))) continue;
    const bool dirty = descriptor.Load().dirty();
    Status status = WriteOut(here, StatId::kBufferWritesBackground);
    ReleaseShared(ContentLock(here));
    RETURN_IF_ERROR(std::move(status));
    if (dirty) ++written;
  }
  return written;
}

Result<uint32_t> BufferCache::WriteDirty(
    FunctionRef<void(uint32_t written, uint32_t to_write)> pace) NO_THREAD_SAFETY_ANALYSIS {
  const uint32_t to_write = CountBuffers().dirty;
  uint32_t written = 0;
  std::optional<Error> first_error;
  for (BufferIndex buffer = 0; buffer < g_buffer_pool.count; ++buffer) {
    if (!Descriptor(buffer).Load().dirty()) continue;
    AcquireShared(ContentLock(buffer));
    Status status = WriteOut(buffer, StatId::kBufferWritesBackground);
    ReleaseShared(ContentLock(buffer));
    if (!status.ok()) {
      if (!first_error) first_error = std::move(status).error();
      continue;
    }
    pace(++written, to_write);
  }
  if (first_error) return *std::move(first_error);
  return written;
}

Status BufferCache::Sync() {
  const ScopedWait wait(WaitEvent::kDataFileSync);
  return GetPageIo().Sync();
}

Status BufferCache::WriteAll() {
  const Result<uint32_t> written = WriteDirty([](uint32_t, uint32_t) {});
  Status synced = Sync();
  if (!written.ok()) return written.error();
  return synced;
}

void BufferCache::DropFrom(PageNo first) NO_THREAD_SAFETY_ANALYSIS {
  const auto concerns = [&](BufferState state) {
    return state.in_use() && state.page_no() >= first;
  };
  for (BufferIndex buffer = 0; buffer < g_buffer_pool.count; ++buffer) {
    if (!concerns(Descriptor(buffer).Load())) continue;
    AcquireExclusive(ContentLock(buffer));
    if (concerns(Descriptor(buffer).Load())) UntagBuffer(buffer);
    ReleaseExclusive(ContentLock(buffer));
  }
}

std::byte* BufferCache::HeldByDead(SlotIndex slot, BufferIndex buffer, PageNo page_no) noexcept {
  if (buffer >= g_buffer_pool.count) return nullptr;
  const BufferState state = Descriptor(buffer).Load();
  const bool changing = state.Holds(page_no) && state.valid() && state.dirty();
  const LockProc& dead = Segment::Procs()[slot].locks;
  return changing && DiedInside(dead, ContentLock(buffer), slot) ? g_buffer_pool.Page(buffer)
                                                                 : nullptr;
}

void BufferCache::RegisterRepairs() {
  RegisterRepair(TrancheId::kBufferMapping, [](LWLock& lock) noexcept {
    RelinkPartition(static_cast<uint32_t>(lock.instance));
  });
  // Nothing: see README.md. A change of its page was made whole before the locks are taken away.
  RegisterRepair(TrancheId::kBufferContent, [](LWLock&) noexcept {});
}

Status BufferCache::CheckInvariants() {
  for (BufferIndex buffer = 0; buffer < g_buffer_pool.count; ++buffer) {
    const BufferState state = Descriptor(buffer).Load();
    if (!state.Plausible()) {
      return MakeError(ErrorCode::kGeneric, "buffer cache: buffer {}: state {:#x} is impossible",
                       buffer, state.word());
    }
  }
  return CheckMapping();
}

BufferCache::Counts BufferCache::CountBuffers() {
  Counts counts{.used = 0, .dirty = 0, .total = g_buffer_pool.count};
  for (BufferIndex buffer = 0; buffer < g_buffer_pool.count; ++buffer) {
    const BufferState state = Descriptor(buffer).Load();
    if (state.in_use()) ++counts.used;
    if (state.dirty()) ++counts.dirty;
  }
  return counts;
}

}  // namespace warren
