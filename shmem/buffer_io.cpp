#include "shmem/buffer_io.h"

#include <cstring>

#include "base/check.h"
#include "base/fault_point.h"
#include "base/ordered_store.h"
#include "base/seeded_bug.h"
#include "shmem/buffer_pool.h"

namespace warren {
namespace {

PageIo* g_io = nullptr;
Status (*g_flush_log)(Lsn lsn) = nullptr;

// Every page begins with the LSN of the last record that changed it.
Lsn PageLsn(const std::byte* page) {
  Lsn lsn;
  std::memcpy(&lsn, page, sizeof(lsn));
  return lsn;
}

Status FlushLog(Lsn lsn) {
  RETURN_IF_FAULT(kBufferFlushLog);
  return g_flush_log == nullptr ? Status() : g_flush_log(lsn);
}

Status WritePage(PageNo page_no, const std::byte* page) {
  RETURN_IF_FAULT(kBufferWrite);
  const ScopedWait wait(WaitEvent::kDataFileWrite);
  return GetPageIo().WritePage(page_no, ConstPageBytes(page, kPageBytes));
}

Status ReadPage(PageNo page_no, std::byte* page) {
  RETURN_IF_FAULT(kBufferRead);
  const ScopedWait wait(WaitEvent::kDataFileRead);
  return GetPageIo().ReadPage(page_no, PageBytes(page, kPageBytes));
}

}  // namespace

void SetPageIo(PageIo* io) { g_io = io; }

PageIo& GetPageIo() {
  CHECK(g_io != nullptr, "the buffer cache is not bound to a file");
  return *g_io;
}

void SetBufferLogFlush(Status (*flush_log)(Lsn lsn)) { g_flush_log = flush_log; }

Status ReadIn(BufferIndex buffer) {
  BufferDescriptor& descriptor = g_buffer_pool.descriptors[buffer];
  const BufferState state = descriptor.Load();
  DCHECK(HoldsExclusive(g_buffer_pool.content_locks[buffer]));
  DCHECK(state.in_use() && !state.valid());
  if (WARREN_SEEDED_BUG(valid_too_early)) descriptor.state.store(state.WithValid().word());
  RETURN_IF_ERROR(ReadPage(state.page_no(), g_buffer_pool.Page(buffer)));
  Stats::Add(StatId::kBufferReads);
  FAULT_POINT(kBufferSetValid);
  // After the bytes: a death before this leaves a buffer that the next one reads again.
  StoreAfter(descriptor.state, state.WithValid().word());
  return {};
}

void MakeZero(BufferIndex buffer, Lsn lsn) noexcept {
  BufferDescriptor& descriptor = g_buffer_pool.descriptors[buffer];
  DCHECK(HoldsExclusive(g_buffer_pool.content_locks[buffer]));
  const BufferState state = descriptor.Load();
  // A free page that is in memory never becomes invalid: the file may have it as it was before it
  // was freed, and who read that would take it for the root or leaf that it was. Partly zero, it is
  // taken for nothing.
  if (state.valid()) StoreBefore(descriptor.state, state.WithDirty().word());
  FAULT_POINT(kBufferZero);
  std::byte* const page = g_buffer_pool.Page(buffer);
  // First: not even a part of the zeros may be written out before the log says that the page is
  // free. If that is lost with the log, what the page was is needed again.
  std::atomic_ref<Lsn>(*reinterpret_cast<Lsn*>(page)).store(lsn, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memset(page + sizeof lsn, 0, kPageBytes - sizeof lsn);
  StoreAfter(descriptor.state, state.WithValid().WithDirty().word());
}

Status WriteOut(BufferIndex buffer, StatId counted_as) {
  BufferDescriptor& descriptor = g_buffer_pool.descriptors[buffer];
  DCHECK(HoldsAny(g_buffer_pool.content_locks[buffer]));
  const BufferState state = descriptor.Load();
  if (!state.dirty()) return {};
  const std::byte* page = g_buffer_pool.Page(buffer);
  RETURN_IF_ERROR(FlushLog(PageLsn(page)));
  if (WARREN_SEEDED_BUG(clean_too_early)) descriptor.state.store(state.WithoutDirty().word());
  RETURN_IF_ERROR(WritePage(state.page_no(), page));
  Stats::Add(counted_as);
  FAULT_POINT(kBufferClearDirty);
  // After the write and before the lock is let go, so that no newer change is called clean. Another
  // one that holds it shared may have written the same bytes and stores the same word.
  StoreAfter(descriptor.state, state.WithoutDirty().word());
  return {};
}

}  // namespace warren
