#include "storage/commit_reserve.h"

#include <algorithm>
#include <utility>

#include "storage/data_file.h"
#include "storage/wal.h"
#include "storage/wal_format.h"

namespace warren {
namespace {

thread_local SlotReserve* t_reserve = nullptr;

// Of a change: its record without the cell, the record of a replaced chain's pages, its place in
// the commit.
constexpr uint64_t kBytesPerChange = 1024;
// The image of a page, and of a new one in the record of a split, with what goes with them.
constexpr uint64_t kImageBytes = kPageBytes + 256;
// A split is the new page, the images of the old one and of the parent's.
constexpr uint64_t kBytesPerSplit = 3 * kImageBytes;
// Map, catalog and inner pages that have an image due, at both sides of a checkpoint; what is left
// of segments that are crossed.
constexpr uint64_t kFixedImages = 24;
constexpr PageNo kFixedPages = 8;  // new pages on the way up to the root

}  // namespace

// Changes are made in key order: each leaf is met once. A split leaves both halves with a quarter
// of a page at least, and nobody splits more leaves than there are.
ReserveNeed NeedOf(const std::vector<LoggedChange>& changes) {
  uint64_t cell_bytes = 0;
  for (const LoggedChange& change : changes) {
    cell_bytes += change.key.size() + change.value.size() + 64;
  }
  const uint64_t pages_there = DataFile::Get().page_count();
  const uint64_t leaves = std::min<uint64_t>(changes.size(), pages_there);
  const uint64_t splits = leaves + cell_bytes / (kPageBytes / 4);
  const uint64_t pages = splits + splits / 2 + kFixedPages;
  // Twice: the changes and the commit's own records. A leaf may bring the head of an old chain.
  const uint64_t log_bytes = 2 * cell_bytes + changes.size() * kBytesPerChange +
                             2 * leaves * kImageBytes + pages * kBytesPerSplit +
                             kFixedImages * kImageBytes + 2 * kMaxWalRecordBytes;
  return {static_cast<PageNo>(pages), std::min(log_bytes, ReserveNeed::kMostLogBytes)};
}

CommitReserve::CommitReserve(SlotIndex slot) { t_reserve = &Segment::Reserves()[slot]; }

CommitReserve::~CommitReserve() {
  SlotReserve* const reserve = std::exchange(t_reserve, nullptr);
  if (kept_) return;
  reserve->pages.store(0);
  Wal::ReleaseReserve(*reserve);
}

Status CommitReserve::Take(const ReserveNeed& need) {
  RETURN_IF_ERROR(DataFile::Get().Reserve(need.pages));
  return Wal::Reserve(need.log_bytes);
}

SlotReserve* ReserveInUse() { return t_reserve; }

uint64_t ReservedPages() {
  uint64_t sum = 0;
  for (const SlotReserve& reserve : Segment::Reserves()) sum += reserve.pages.load();
  return sum;
}

}  // namespace warren
