#include "storage/wal_time.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <span>

#include "base/clock.h"
#include "base/ordered_store.h"
#include "shmem/segment.h"
#include "storage/checkpoint.h"
#include "storage/wal.h"
#include "storage/wal_format.h"

namespace warren {
namespace {

constexpr size_t kFillBytes = 64 * 1024;

// Behind the true time by a tick of the kernel at most, and much cheaper to ask for.
int64_t CoarseClockUs() { return ReadClockNs(CLOCK_REALTIME_COARSE) / 1000; }

// Also when the clock was set back. The caller has read the mark before the clock.
bool IsDue(int64_t marked_us, int64_t now_us) {
  return now_us - marked_us >= kTimeMarkEveryUs || now_us < marked_us;
}

}  // namespace

Status MarkTimeIfDue() {
  std::atomic<int64_t>& marked_us = Segment::Wal().time_marked_us;
  const int64_t newest_us = marked_us.load(std::memory_order_relaxed);
  if (!IsDue(newest_us, CoarseClockUs())) return {};
  ASSIGN_OR_RETURN(WalInsertion insertion, WalInsertion::Begin(sizeof(TimeMark)));
  // Under the insert lock: of all who found one due, one makes it. The clock is read again because
  // what waited for the lock before us is in the log already.
  const int64_t now_us = CoarseClockUs();
  if (!IsDue(marked_us.load(std::memory_order_relaxed), now_us)) return {};
  StoreAfter(marked_us, now_us);
  const TimeMark mark{.wall_clock_us = now_us};
  insertion.Publish(kTimeMark, 0, std::as_bytes(std::span(&mark, 1)), {}, 0, nullptr);
  return {};
}

Status FillSegment() {
  static constexpr std::array<std::byte, kFillBytes> kZeros{};
  const uint64_t segment = SegmentOf(Wal::InsertPosition());
  for (;;) {
    const Lsn at = Wal::InsertPosition();
    // Others insert meanwhile; the last mark may then find itself in the next segment.
    if (SegmentOf(at) != segment || SegmentOffset(at) <= kSegmentStartRecordBytes) return {};
    const uint64_t rest = kSegmentBytes - SegmentOffset(at);
    const size_t needed = sizeof(WalRecordHeader) + sizeof(TimeMark);
    const size_t fill = rest > needed ? std::min<size_t>(rest - needed, kFillBytes) : 0;
    const WalPiece piece = std::span(kZeros).first(fill);
    const uint64_t tail_hash = fill == 0 ? 0 : WalTailHash(std::span(&piece, 1));
    const TimeMark mark{.wall_clock_us = CoarseClockUs()};
    ASSIGN_OR_RETURN(WalInsertion insertion, WalInsertion::Begin(sizeof mark + fill));
    insertion.Publish(kTimeMark, 0, std::as_bytes(std::span(&mark, 1)),
                      std::span(&piece, fill == 0 ? 0 : 1), tail_hash, nullptr);
  }
}

std::optional<int64_t> TimeOf(const WalRecord& record) {
  int64_t time_us = 0;
  switch (record.header.type) {
    case kTimeMark:
      static_assert(offsetof(TimeMark, wall_clock_us) == 0);
      break;
    case kCheckpoint:
      static_assert(offsetof(CheckpointHead, wall_clock_us) == 0);
      break;
    default:
      return std::nullopt;
  }
  if (record.head.size() < sizeof time_us) return std::nullopt;
  std::memcpy(&time_us, record.head.data(), sizeof time_us);
  return time_us;
}

}  // namespace warren
