#include "storage/log_tail.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "storage/wal_format.h"
#include "storage/wal_segments.h"

namespace warren {
namespace {

constexpr uint64_t kSectorBytes = 512;  // the smallest unit of any disk

bool AllZero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

// One segment, whole.
class SegmentBytes {
 public:
  static Result<SegmentBytes> Read(uint64_t segment_no) {
    SegmentBytes segment(segment_no);
    ASSIGN_OR_RETURN(const size_t got, WalSegments::Read(segment.begin_, segment.bytes_.data(),
                                                         segment.bytes_.size()));
    segment.bytes_.resize(got);
    return segment;
  }

  // The record at `lsn`, if there is a valid one that is not a pad, whose body is anything.
  bool RecordAt(Lsn lsn, WalRecordHeader* header) const {
    const uint64_t offset = lsn - begin_;
    if (offset + sizeof *header > bytes_.size()) return false;
    std::memcpy(header, bytes_.data() + offset, sizeof *header);
    if (header->reserved16 != 0 || header->type == static_cast<uint8_t>(WalOwnType::kPad) ||
        !PlausibleRecord(*header, lsn) || offset + header->bytes > bytes_.size()) {
      return false;
    }
    return ValidRecord(std::span(bytes_).subspan(offset, header->bytes), lsn);
  }
  // Of [from, to), cut at the segment.
  std::span<const std::byte> Part(Lsn from, Lsn to) const {
    const uint64_t first = std::min<uint64_t>(from - begin_, bytes_.size());
    const uint64_t end = std::min<uint64_t>(to - begin_, bytes_.size());
    return std::span(bytes_).subspan(first, end - first);
  }
  Lsn begin() const { return begin_; }
  Lsn end() const { return begin_ + bytes_.size(); }

 private:
  explicit SegmentBytes(uint64_t segment_no)
      : begin_(segment_no * kSegmentBytes), bytes_(kSegmentBytes) {}
  Lsn begin_;
  std::vector<std::byte> bytes_;
};

// Some sector of [from, to) holds nothing there.
bool HasEmptySector(const SegmentBytes& segment, Lsn from, Lsn to) {
  while (from < to) {
    const Lsn sector_end = std::min<Lsn>((from / kSectorBytes + 1) * kSectorBytes, to);
    if (AllZero(segment.Part(from, sector_end))) return true;
    from = sector_end;
  }
  return false;
}

Lsn EndOfChain(const SegmentBytes& segment, Lsn at) {
  WalRecordHeader header;
  while (segment.RecordAt(at, &header)) at += AlignLsn(header.bytes);
  return at;
}

// Rule 2 of the header.
bool IsNewSegmentOf(const SegmentBytes& segment, uint32_t start_count, Lsn last_end) {
  WalRecordHeader first;
  return segment.RecordAt(segment.begin(), &first) && first.start_count == start_count &&
         AllZero(segment.Part(last_end, segment.end()));
}

}  // namespace

Result<LogTail> JudgeLogTail(Lsn end, uint32_t start_count) {
  ASSIGN_OR_RETURN(const SegmentBytes segment, SegmentBytes::Read(SegmentOf(end)));
  WalRecordHeader header;
  Lsn next = AlignLsn(end + 1);
  while (next < segment.end() &&
         (!segment.RecordAt(next, &header) || header.start_count < start_count)) {
    next += 8;
  }
  if (next >= segment.end()) return LogTail{};
  const bool same_sector = end / kSectorBytes == next / kSectorBytes;
  const bool proven =
      same_sector || (header.start_count == start_count &&
                      IsNewSegmentOf(segment, start_count, EndOfChain(segment, next)) &&
                      !HasEmptySector(segment, end, next));
  return LogTail{proven ? LogTail::kDamaged : LogTail::kDoubtful, next};
}

}  // namespace warren
