#include "storage/mini_transaction.h"

#include <cstring>
#include <new>

#include "base/check.h"
#include "base/fault_point.h"
#include "base/ordered_store.h"
#include "base/seeded_bug.h"
#include "shmem/stats.h"
#include "storage/database_counts.h"
#include "storage/page_images.h"
#include "storage/wal_format.h"
#include "storage/wal_time.h"

namespace warren {
namespace {

// Of this process: the end of its newest record.
thread_local Lsn g_last_change = 0;

MiniTransactionArea::Before BeforeOf(PageRole role) {
  using Before = MiniTransactionArea::Before;
  if (role == PageRole::kFilledPage) return Before::kFilled;
  return role == PageRole::kNewPage ? Before::kZero : Before::kSaved;
}

std::byte* Append(std::byte* to, const void* bytes, size_t count) {
  if (count != 0) std::memcpy(to, bytes, count);
  return to + count;
}

#ifndef NDEBUG
// Debug builds keep whole copies and verify after each change that the before-images would bring
// every meaningful byte back: apply changed nothing that its builder did not announce.
thread_local std::byte g_copies[kMaxRecordPages][kPageBytes];

void KeepCopies(const MiniTransactionArea& area, FunctionRef<std::byte*(size_t)> page_of) {
  for (size_t i = 0; i < area.page_count; ++i) std::memcpy(g_copies[i], page_of(i), kPageBytes);
}

void CheckBeforeImages(const MiniTransactionArea& area, FunctionRef<std::byte*(size_t)> page_of) {
  std::byte restored[kPageBytes];
  for (size_t i = 0; i < area.page_count; ++i) {
    const MiniTransactionArea::Page& page = area.pages[i];
    if (page.before != MiniTransactionArea::Before::kSaved) continue;
    std::memcpy(restored, page_of(i), kPageBytes);
    RestoreBeforeImage(area, i, restored);
    const PageHeader& before = HeaderOf(g_copies[i]);
    CHECK(std::memcmp(restored, g_copies[i], before.lower) == 0 &&
              std::memcmp(restored + before.upper, g_copies[i] + before.upper,
                          kPageBytes - before.upper) == 0,
          "{}: page {} changed outside its before-image",
          DescribeRecord(RecordView(area.record.data()), area.end.load()), page.ref.page_no);
  }
}
#endif

}  // namespace

MiniTransactionArea& MiniTransactionAreaOf(SlotIndex slot) {
  return *std::launder(reinterpret_cast<MiniTransactionArea*>(Segment::MiniTransactionArea(slot)));
}

Lsn LastChange() { return g_last_change; }

void RestoreBeforeImage(const MiniTransactionArea& area, size_t i, std::byte* page) noexcept {
  const MiniTransactionArea::Page& entry = area.pages[i];
  if (entry.before == MiniTransactionArea::Before::kFilled) return;
  if (entry.before == MiniTransactionArea::Before::kZero) {
    // As it was got: its LSN keeps it from the file until the log says that it is free.
    std::memset(page + sizeof(Lsn), 0, kPageBytes - sizeof(Lsn));
    return;
  }
  const std::byte* image = area.images.data() + entry.image_offset;
  const ChangedBytes& changed = entry.changed;
  std::memcpy(page, image, changed.low_end);
  std::memcpy(page + changed.from, image + changed.low_end,
              static_cast<size_t>(changed.to - changed.from));
}

void RepairArmedArea(MiniTransactionArea& area,
                     FunctionRef<std::byte*(BufferIndex)> page_of) noexcept {
  if (area.armed.load(std::memory_order_acquire) == 0) return;
  const Lsn end = area.end.load(std::memory_order_relaxed);
  for (size_t i = 0; i < area.page_count; ++i) {
    FAULT_POINT(kRepairPage);
    std::byte* page = page_of(area.pages[i].buffer);
    if (!WARREN_SEEDED_BUG(image_not_restored)) RestoreBeforeImage(area, i, page);
    if (end != 0 && !WARREN_SEEDED_BUG(record_not_applied_again))
      ApplyRecord(RecordView(area.record.data()), area.pages[i].ref, page, end);
  }
  FAULT_POINT(kRepairDisarm);
  StoreAfter(area.armed, 0u);
}

MiniTransaction::MiniTransaction(RecordType type, uint32_t database, uint32_t incarnation)
    : area_(MiniTransactionAreaOf(ProcArray::SelfOwner().slot)) {
  header_.type = type;
  header_.database = static_cast<uint16_t>(database);
  header_.incarnation = incarnation;
}

void MiniTransaction::AddPage(ExclusivePage& page, PageRole role, ChangedBytes changed) {
  CHECK(header_.page_count < kMaxRecordPages, "{}: too many pages", RecordTypeName(header_.type));
  pages_[header_.page_count++] = Page{&page, role, changed};
}

void MiniTransaction::AddNewPage(ExclusivePage& page, const std::byte* image) {
  image_ = image;
  header_.image_low_bytes = HeaderOf(image).lower;
  header_.image_high_bytes = static_cast<uint16_t>(kPageBytes - HeaderOf(image).upper);
  AddPage(page, PageRole::kNewPage, ChangedBytes{});
}

void MiniTransaction::ChangeMap(ExclusivePage& map_page, PageNo page_no, PageState state) {
  CHECK(map_page.page_no() == MapPageOf(page_no), "page {} is not on map page {}", page_no,
        map_page.page_no());
  CHECK(header_.map_change_count < kMaxMapChanges, "{}: too many map changes",
        RecordTypeName(header_.type));
  map_changes_[header_.map_change_count++] = MapChange{page_no, state};
  const auto word =
      static_cast<uint16_t>(offsetof(MapPage, words) + MapIndexOf(page_no) / kPagesPerMapWord * 8);
  const auto word_end = static_cast<uint16_t>(word + 8);
  for (size_t i = 0; i < header_.page_count; ++i) {
    if (pages_[i].page != &map_page) continue;
    ChangedBytes& changed = pages_[i].changed;
    if (changed.low_end == kPageBytes) return;
    changed.from = changed.from < word ? changed.from : word;
    changed.to = changed.to > word_end ? changed.to : word_end;
    return;
  }
  const bool never_written = HeaderOf(map_page.bytes()).type == PageType::kNone;
  AddPage(map_page, PageRole::kMap,
          never_written ? ChangedBytes{kPageBytes, kPageBytes, kPageBytes}
                        : ChangedBytes{offsetof(MapPage, words), word, word_end});
}

void MiniTransaction::AddPayload(const void* bytes, size_t count) {
  CHECK(piece_count_ < pieces_.size(), "{}: too many pieces", RecordTypeName(header_.type));
  pieces_[piece_count_++] = Piece{bytes, count};
  header_.payload_bytes += static_cast<uint32_t>(count);
}

void MiniTransaction::CountKeys(int keys, int expires) {
  header_.flags |= kCountsFlag;
  keys_delta_ = keys;
  expires_delta_ = expires;
}

void MiniTransaction::AssembleRecord() noexcept {
  const size_t fixed = sizeof(RecordHeader) + header_.page_count * sizeof(PageRef) +
                       header_.map_change_count * sizeof(MapChange) + header_.image_low_bytes +
                       header_.image_high_bytes + header_.payload_bytes;
  const size_t total = (fixed + 7) / 8 * 8;
  CHECK(total <= kMaxRecordBytes, "{}: record of {} bytes", RecordTypeName(header_.type), total);
  header_.bytes = static_cast<uint32_t>(total);
  std::byte* to = Append(area_.record.data(), &header_, sizeof header_);
  for (size_t i = 0; i < header_.page_count; ++i) {
    const PageRef ref{pages_[i].page->page_no(), pages_[i].role, 0};
    to = Append(to, &ref, sizeof ref);
  }
  to = Append(to, map_changes_.data(), header_.map_change_count * sizeof(MapChange));
  if (image_ != nullptr) {
    to = Append(to, image_, header_.image_low_bytes);
    to = Append(to, image_ + kPageBytes - header_.image_high_bytes, header_.image_high_bytes);
  }
  for (size_t i = 0; i < piece_count_; ++i) to = Append(to, pieces_[i].bytes, pieces_[i].count);
  std::memset(to, 0, total - fixed);
}

void MiniTransaction::SaveBeforeImages() noexcept {
  size_t used = 0;
  area_.page_count = header_.page_count;
  for (size_t i = 0; i < header_.page_count; ++i) {
    const Page& page = pages_[i];
    const std::byte* bytes = page.page->bytes();
    const ChangedBytes& changed = page.changed;
    const size_t wanted = changed.low_end + static_cast<size_t>(changed.to - changed.from);
    CHECK(used + wanted <= kMaxImageBytes, "before-images of {} bytes", used + wanted);
    area_.pages[i] = {.ref = {page.page->page_no(), page.role, 0},
                      .buffer = page.page->buffer(),
                      .before = BeforeOf(page.role),
                      .changed = changed,
                      .reserved = 0,
                      .image_offset = static_cast<uint32_t>(used)};
    std::byte* to = Append(area_.images.data() + used, bytes, changed.low_end);
    Append(to, bytes + changed.from, static_cast<size_t>(changed.to - changed.from));
    used += wanted;
  }
}

void MiniTransaction::ChooseImages(Lsn checkpoint_start, PageImages& images) const noexcept {
  for (size_t i = 0; i < header_.page_count; ++i) {
    const std::byte* page = pages_[i].page->bytes();
    if (pages_[i].role == PageRole::kFilledPage) {
      images.Add(i, page);
    } else if (pages_[i].role != PageRole::kNewPage) {
      images.AddIfDue(i, page, checkpoint_start);
    }
  }
}

Result<Lsn> MiniTransaction::InsertIntoLog() noexcept {
  auto& header = *reinterpret_cast<RecordHeader*>(area_.record.data());
  const std::atomic<Lsn>& checkpoint_start = Segment::Wal().checkpoint_start;
  for (;;) {
    const Lsn built_for = checkpoint_start.load(std::memory_order_relaxed);
    PageImages images;
    ChooseImages(built_for, images);
    const uint64_t tail_hash = WalTailHash(images.pieces());
    ASSIGN_OR_RETURN(WalInsertion insertion, WalInsertion::Begin(header.bytes + images.bytes()));
    // A checkpoint began meanwhile: a page may now be due for an image that was not due before.
    if (checkpoint_start.load(std::memory_order_relaxed) != built_for) continue;
    PlanCounts(header, keys_delta_, expires_delta_);
    insertion.Publish(kPageChange, images.flags(), {area_.record.data(), header.bytes},
                      images.pieces(), tail_hash, &area_.end);
    FAULT_POINT(kChangeCount);
    StoreCounts(header);
    Stats::Add(StatId::kWalPageImages, images.count_due());
    return insertion.end();
  }
}

Status MiniTransaction::Commit() noexcept {
  RETURN_IF_ERROR(MarkTimeIfDue());
  if (WARREN_SEEDED_BUG(armed_too_early)) StoreBetween(area_.armed, 1u);
  AssembleRecord();
  SaveBeforeImages();
  FAULT_POINT(kChangeDirty);
  // Before the record exists: a write-out of everything that starts after it must see these pages.
  for (size_t i = 0; i < header_.page_count; ++i) pages_[i].page->MarkDirty();
#ifndef NDEBUG
  auto page_of = [&](size_t i) { return pages_[i].page->bytes(); };
  KeepCopies(area_, page_of);
#endif
  FAULT_POINT(kChangeArm);
  if (!WARREN_SEEDED_BUG(end_not_zeroed)) area_.end.store(0, std::memory_order_relaxed);
  // After the images and `end`, before the first changed byte: from here on a repair may trust
  // them.
  StoreBetween(area_.armed, 1u);
  FAULT_POINT(kChangeLog);
  const Result<Lsn> inserted = InsertIntoLog();
  if (!inserted.ok()) {  // no room for it in the log: nothing has changed yet
    StoreAfter(area_.armed, 0u);
    return inserted.error();
  }
  const Lsn lsn = g_last_change = *inserted;
  const RecordView record(area_.record.data());
  for (size_t i = 0; i < header_.page_count; ++i) {
    FAULT_POINT(kChangeApply);
    if (WARREN_SEEDED_BUG(disarmed_too_early)) StoreBetween(area_.armed, 0u);
    ApplyRecord(record, area_.pages[i].ref, pages_[i].page->bytes(), lsn);
  }
#ifndef NDEBUG
  CheckBeforeImages(area_, page_of);
#endif
  FAULT_POINT(kChangeDisarm);
  StoreAfter(area_.armed, 0u);  // after the last page byte
  FAULT_POINT(kChangeDone);
  Stats::Add(StatId::kMiniTransactions);
  return {};
}

}  // namespace warren
