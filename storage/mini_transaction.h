// How do page bytes change? (The only way.)
//
//   1. the caller locks the pages exclusively, in page lock order, and plans the change;
//   2. it adds pages, map changes and payload to a MiniTransaction; nothing is changed yet, and the
//      caller may still walk away;
//   3. Commit: the record is put together in this slot's area of the segment; before-images of the
//      bytes that will change are copied there; the buffers are marked dirty; the slot is *armed*;
//      the record gets its place in the log (its end is the LSN); ApplyRecord changes each page;
//      the slot is disarmed;
//   4. the caller lets the pages go.
//
// A page of an overflow chain need not be copied that often: nobody can have a link to it before
// its record, so the caller fills it between 1 and 2, while it is free in the map and locked. The
// record takes its bytes from there, as an image (page_images.h). They stay if the change is taken
// back: what a free page holds does not matter.
//
// Between arm and disarm nothing waits, throws or lets a page go: Commit is one straight run. A
// process that dies in there leaves its slot armed and its locks held: RestoreBeforeImages makes
// the pages what they were before, and with `end` set ApplyRecord makes the change again.
#pragma once

#include <array>
#include <atomic>
#include <span>
#include <string_view>

#include "base/function_ref.h"
#include "shmem/buffer_cache.h"
#include "shmem/segment.h"
#include "storage/node.h"
#include "storage/record.h"

namespace warren {

class PageImages;

// Which bytes of a page may apply change, as far as they mean something before it? [0, low_end) and
// [from, to).
struct ChangedBytes {
  uint16_t low_end;
  uint16_t from;
  uint16_t to;
};
inline ChangedBytes HeaderChanges() { return {sizeof(NodeHeader), 0, 0}; }
inline ChangedBytes SlotChanges(NodeView node) { return {node.page().lower, 0, 0}; }
inline ChangedBytes NodeChanges(NodeView node) {
  return {node.page().lower, node.page().upper, kPageBytes};
}

// Room for before-images: two nodes that may be compacted, slot arrays and headers of the others.
inline constexpr size_t kMaxImageBytes = 50 * 1024;

// One per slot, in the segment. Written by the slot's process alone.
struct MiniTransactionArea {
  enum class Before : uint32_t {
    kSaved,   // in `images`
    kZero,    // new, and made by Apply from the record
    kFilled,  // new, and whole since before `armed`: left as it is
  };
  struct Page {
    PageRef ref;
    BufferIndex buffer;
    Before before;
    ChangedBytes changed;
    uint16_t reserved;
    uint32_t image_offset;  // of both ranges, one after the other
  };
  std::atomic<uint32_t> armed;  // 1 from before the log insert until after the last page byte
  uint32_t page_count;
  std::atomic<Lsn> end;  // 0, or of the record once it is in the log
  std::array<Page, kMaxRecordPages> pages;
  alignas(8) std::array<std::byte, kMaxRecordBytes> record;
  std::array<std::byte, kMaxImageBytes> images;
};
static_assert(sizeof(MiniTransactionArea) <= kMiniTransactionAreaBytes);

// Puts the changed bytes of page `i` of an armed area back. May be done again.
void RestoreBeforeImage(const MiniTransactionArea& area, size_t i, std::byte* page) noexcept;

// Makes the pages of an armed area whole and disarms it: as they were before the record, or, if it
// is in the log, as they are after it. `page_of` gives the bytes of a page's buffer, which is still
// locked by the area's dead process. Idempotent until it has disarmed.
void RepairArmedArea(MiniTransactionArea& area,
                     FunctionRef<std::byte*(BufferIndex)> page_of) noexcept;

MiniTransactionArea& MiniTransactionAreaOf(SlotIndex slot);

// The LSN of the newest change that the calling process made: all it did is durable once the log is
// flushed up to there. 0 if it has changed nothing.
Lsn LastChange();

class MiniTransaction {
 public:
  MiniTransaction(RecordType type, uint32_t database, uint32_t incarnation);
  MiniTransaction(const MiniTransaction&) = delete;
  MiniTransaction& operator=(const MiniTransaction&) = delete;

  // Pages and bytes passed here are used until Commit returns.
  void AddPage(ExclusivePage& page, PageRole role, ChangedBytes changed);
  // `image`: the page's whole content, built in private memory. One per mini-transaction.
  void AddNewPage(ExclusivePage& page, const std::byte* image);
  // A new page that the caller has filled. Its LSNs are set by the change.
  void AddFilledPage(ExclusivePage& page) { AddPage(page, PageRole::kFilledPage, {}); }
  void ChangeMap(ExclusivePage& map_page, PageNo page_no, PageState state);
  void AddPayload(const void* bytes, size_t count);
  template <typename T>
  void AddPayload(const T& value) {
    AddPayload(&value, sizeof value);
  }
  void AddPayload(std::string_view text) { AddPayload(text.data(), text.size()); }
  // The record changes the number of keys (if its incarnation is still the database's).
  void CountKeys(int keys, int expires);

  // Makes the change. kNoSpace or kIo: the log could not take the record, and nothing has changed.
  // May wait for the log to be flushed when its ring is full.
  Status Commit() noexcept;

 private:
  struct Page {
    ExclusivePage* page;
    PageRole role;
    ChangedBytes changed;
  };
  struct Piece {
    const void* bytes;
    size_t count;
  };
  // A cell with what goes before it, for each page.
  static constexpr size_t kMaxPieces = 1 + 5 * kMaxRecordPages;

  void AssembleRecord() noexcept;
  void SaveBeforeImages() noexcept;
  void ChooseImages(Lsn checkpoint_start, PageImages& images) const noexcept;
  Result<Lsn> InsertIntoLog() noexcept;

  MiniTransactionArea& area_;
  RecordHeader header_{};
  std::array<Page, kMaxRecordPages> pages_;
  std::array<MapChange, kMaxMapChanges> map_changes_;
  std::array<Piece, kMaxPieces> pieces_;
  size_t piece_count_ = 0;
  const std::byte* image_ = nullptr;
  int keys_delta_ = 0;
  int expires_delta_ = 0;
};

}  // namespace warren
