// Where is a page while it is in memory, and who may touch it?
//
// Rules
//  1. A buffer is in use only while its content lock is held; there are no pins. Page bytes are
//     reached only through SharedPage and ExclusivePage.
//  2. The primary truth is the descriptor array: one 64-bit word per buffer holds tag (page
//     number + in-use), valid and dirty. Hash chains and the clock hand are derived from it.
//  3. Tags change only under the exclusive content lock *and* the exclusive lock(s) of the mapping
//     partitions concerned. A look-up walks the chains without a lock, locks the buffer, checks the
//     tag again and starts over if it changed; a miss is believed only under the partition lock.
//  4. Tag without valid: nobody has read the page yet. Whoever has the buffer exclusively reads it.
//  5. Dirty is set only under the exclusive lock, before the bytes change. It is cleared by one
//     store, under the content lock, only after the write has returned in full.
//  6. Writing out: the log up to the page's LSN first (hook), then the content lock (shared is
//     enough) is held from checksum to the end of pwrite. Nobody writes a copy taken earlier.
//  7. Victims are only try-locked. When every buffer is taken, the acquire answers kBusy; a caller
//     that holds pages lets them go and starts again.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/function_ref.h"
#include "base/ids.h"
#include "base/result.h"
#include "lwlock/lwlock.h"
#include "shmem/page_io.h"

namespace warren {

class BufferCache;

// A page held shared: its bytes don't change while this lives. Movable; releases on destruction.
class [[nodiscard]] SharedPage {
 public:
  SharedPage() = default;
  SharedPage(SharedPage&& other) noexcept
      : buffer_(std::exchange(other.buffer_, kNoBuffer)),
        page_no_(other.page_no_),
        bytes_(other.bytes_) {}
  SharedPage& operator=(SharedPage&& other) noexcept;
  ~SharedPage() {
    if (held()) Release();
  }
  void Release();
  bool held() const { return buffer_ != kNoBuffer; }
  BufferIndex buffer() const { return buffer_; }
  PageNo page_no() const { return page_no_; }
  const std::byte* bytes() const { return bytes_; }
  template <typename T>
  const T& As() const {
    return *reinterpret_cast<const T*>(bytes_);
  }

 private:
  friend class BufferCache;
  friend class ExclusivePage;
  SharedPage(BufferIndex buffer, PageNo page_no, const std::byte* bytes)
      : buffer_(buffer), page_no_(page_no), bytes_(bytes) {}
  BufferIndex buffer_ = kNoBuffer;
  PageNo page_no_ = kNoPage;
  const std::byte* bytes_ = nullptr;
};

// A page held exclusively. Its bytes may be changed only by a mini-transaction's apply
// (storage/mini_transaction.h), which calls MarkDirty first.
class [[nodiscard]] ExclusivePage {
 public:
  ExclusivePage() = default;
  ExclusivePage(ExclusivePage&& other) noexcept
      : buffer_(std::exchange(other.buffer_, kNoBuffer)),
        page_no_(other.page_no_),
        bytes_(other.bytes_) {}
  ExclusivePage& operator=(ExclusivePage&& other) noexcept;
  ~ExclusivePage() {
    if (held()) Release();
  }
  void Release();
  bool held() const { return buffer_ != kNoBuffer; }
  PageNo page_no() const { return page_no_; }
  BufferIndex buffer() const { return buffer_; }
  std::byte* bytes() const { return bytes_; }
  template <typename T>
  const T& As() const {
    return *reinterpret_cast<const T*>(bytes_);
  }
  void MarkDirty();  // before the first byte changes
  bool dirty() const;
  SharedPage Downgrade() &&;

 private:
  friend class BufferCache;
  ExclusivePage(BufferIndex buffer, PageNo page_no, std::byte* bytes)
      : buffer_(buffer), page_no_(page_no), bytes_(bytes) {}
  BufferIndex buffer_ = kNoBuffer;
  PageNo page_no_ = kNoPage;
  std::byte* bytes_ = nullptr;
};

class BufferCache {
 public:
  // Of the calling process; the segment must exist. `io` outlives every use; processes forked later
  // inherit it.
  static void Bind(PageIo* io);

  // Called with the page's LSN before it is written out; returns when the log is durable up to it.
  static void SetLogFlushHook(Status (*flush_log)(Lsn lsn));

  // Is the page still in that buffer, with this LSN? Takes no lock.
  static bool IsUnchanged(BufferIndex buffer, PageNo page_no, Lsn lsn) noexcept;

  // The page, read from disk if need be. May sleep for the content lock and for the disk; the
  // caller may hold other pages only in the order of tranche_list.def. Errors: kCorrupt, kIo
  // (read), kBusy (every buffer locked), kNoSpace/kIo (a dirty victim could not be written).
  static Result<SharedPage> GetShared(PageNo page_no) {
    SharedPage page;
    if (FindShared(page_no, &page)) return page;  // without a Result: most of all accesses
    return GetSharedSlow(page_no);
  }
  static Result<ExclusivePage> GetExclusive(PageNo page_no);

  // The page that a buffer holds, whichever that is, for one who remembers where a page was; false
  // if it holds none that was read, or there is no such buffer. May sleep for the content lock, not
  // for the disk. `page` must be empty.
  static bool LockBuffer(BufferIndex buffer, SharedPage* page);
  static bool LockBuffer(BufferIndex buffer, ExclusivePage* page);
  // The same without ever sleeping: false if somebody has the page locked, we ourselves included.
  static bool TryLockBuffer(BufferIndex buffer, ExclusivePage* page);

  // Have what is needed to lock a buffer, and bytes of the page in it, brought into the processor's
  // cache: for one who comes to several soon. Any buffer, any place in the page.
  static void PrefetchLock(BufferIndex buffer);
  static void Prefetch(BufferIndex buffer, size_t offset, size_t bytes);
  // Two bytes of the page in a buffer at an even offset, as they are or once were: for guesses at
  // what to prefetch, since nobody holds the page. 0 if there is no such buffer or offset.
  static uint16_t Glimpse(BufferIndex buffer, size_t offset);

  // For a page whose old content does not matter (just allocated, perhaps still cached from a
  // former life): not read, bytes all zero but the LSN, dirty. `lsn`: the page does not reach the
  // file before the log has been flushed up to there; not before the record that freed the page.
  static Result<ExclusivePage> GetNew(PageNo page_no, Lsn lsn);
  // The same without ever sleeping for the content lock: not held if somebody has the page locked.
  static Result<ExclusivePage> TryGetNew(PageNo page_no, Lsn lsn);

  // Background writer: looks at up to `look_at` buffers ahead of the clock hand and writes dirty
  // ones that are due for eviction, at most `write_at_most`. Returns how many were written.
  static Result<uint32_t> WriteAhead(uint32_t look_at, uint32_t write_at_most);

  // Writes every buffer that was dirty when this began and returns how many; `pace` is called after
  // each, with nothing locked. After a failure the rest is written all the same.
  static Result<uint32_t> WriteDirty(FunctionRef<void(uint32_t written, uint32_t to_write)> pace);
  static Status Sync();

  // Both, at full speed. A
  // page that can't be written does not keep the others from it; the first error is returned.
  static Status WriteAll();

  // Forgets pages >= first, changed or not: they lie beyond the file's end, which has moved before.
  // Waits for whoever is using one; the caller holds no page.
  static void DropFrom(PageNo first);

  // For the repair of a dead process's change (phase 1): the bytes of a buffer that the process of
  // `slot` held exclusively with `page_no` in it, valid and dirty; null if it did not.
  static std::byte* HeldByDead(SlotIndex slot, BufferIndex buffer, PageNo page_no) noexcept;

  // Registers the repairs of the cache's locks (README.md, "What a death leaves"). Before the first
  // fork.
  static void RegisterRepairs();

  // Asserts the rules above that can be seen at any moment: each in-use descriptor is found by its
  // hash chain exactly once, no page has two buffers, no chain holds another or a cycle, no word is
  // in a state outside the diagram of buffer_descriptor.h; returns what is wrong, or nothing. Takes
  // the partition locks one at a time.
  static Status CheckInvariants();

  struct Counts {
    uint32_t used, dirty, total;
  };
  static Counts CountBuffers();

 private:
  static bool FindShared(PageNo page_no, SharedPage* page);
  static Result<SharedPage> GetSharedSlow(PageNo page_no);
};

}  // namespace warren
