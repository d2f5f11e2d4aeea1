#include "storage/wal_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "storage/wal_segments.h"

namespace warren {
namespace {

constexpr size_t kReadAheadBytes = 1 << 20;

std::string Describe(Lsn at, std::string_view what) {
  return fmt::format("{} at {:#x} (segment {} offset {})", what, at, WalSegmentName(SegmentOf(at)),
                     SegmentOffset(at));
}

// Nothing, or why a valid record may not stand here: a segment's start record where none belongs,
// or not the right one where one does.
std::string_view MisplacedStart(const WalRecord& record, uint64_t system_id) {
  const bool is_start = record.header.type == static_cast<uint8_t>(WalOwnType::kSegmentStart);
  const bool at_start = SegmentOffset(record.begin) == 0;
  if (is_start != at_start) return at_start ? "no segment header" : "a segment header";
  if (!is_start) return {};
  WalSegmentStart start;
  if (record.head.size() != sizeof start) return "a segment header of the wrong size";
  std::memcpy(&start, record.head.data(), sizeof start);
  if (start.magic != kWalSegmentMagic) return "not a segment header";
  if (start.format_version != kWalFormatVersion) return "a segment of another format version";
  if (start.segment_no != SegmentOf(record.begin)) return "a segment header of another segment";
  if (system_id != 0 && start.system_id != system_id) return "a segment of another system";
  return {};
}

}  // namespace

WalReader::WalReader(Lsn from, uint64_t system_id) : position_(from), system_id_(system_id) {}

Result<std::span<const std::byte>> WalReader::Fetch(Lsn at, size_t size) {
  size = std::min<size_t>(size, kSegmentBytes - SegmentOffset(at));
  if (at < buffer_begin_ || at + size > buffer_begin_ + buffer_bytes_) {
    const size_t want =
        std::min<size_t>(std::max(size, kReadAheadBytes), kSegmentBytes - SegmentOffset(at));
    buffer_.resize(std::max(buffer_.size(), want));
    buffer_bytes_ = 0;
    ASSIGN_OR_RETURN(buffer_bytes_, WalSegments::Read(at, buffer_.data(), want));
    buffer_begin_ = at;
  }
  const size_t offset = at - buffer_begin_;
  return std::span<const std::byte>(buffer_.data() + offset,
                                    std::min(size, buffer_bytes_ - offset));
}

Result<std::optional<WalRecord>> WalReader::ReadAt(Lsn at) {
  const auto end_here = [&](std::string_view why) -> std::optional<WalRecord> {
    end_reason_ = Describe(at, why);
    return std::nullopt;
  };
  WalRecord record;
  record.begin = at;
  ASSIGN_OR_RETURN(const std::span<const std::byte> head, Fetch(at, sizeof(WalRecordHeader)));
  if (head.size() < sizeof(WalRecordHeader)) return end_here("no more bytes");
  std::memcpy(&record.header, head.data(), sizeof(record.header));
  if (!PlausibleRecord(record.header, at)) return end_here("no record");
  const uint64_t bytes = record.header.bytes;
  const bool is_pad = record.header.type == static_cast<uint8_t>(WalOwnType::kPad);
  const size_t needed = is_pad ? sizeof(WalRecordHeader) : bytes;
  ASSIGN_OR_RETURN(const std::span<const std::byte> whole, Fetch(at, needed));
  if (whole.size() < needed) return end_here("record cut short");
  if (!ValidRecord(whole, at)) return end_here("checksum mismatch");
  if (!is_pad) {
    const std::span<const std::byte> body = whole.subspan(sizeof(WalRecordHeader));
    record.head = body.first(record.header.head_bytes);
    record.tail = body.subspan(record.header.head_bytes);
  }
  const std::string_view misplaced = MisplacedStart(record, system_id_);
  if (!misplaced.empty()) return end_here(misplaced);
  // Valid, but from before: an older life of the log wrote further than the one that followed.
  if (record.header.start_count < start_count_) return end_here("record of an earlier start");
  start_count_ = record.header.start_count;
  record.end = at + AlignLsn(bytes);
  return std::optional<WalRecord>(record);
}

Result<std::optional<WalRecord>> WalReader::NextOfAll() {
  const uint64_t rest = kSegmentBytes - SegmentOffset(position_);
  const Lsn at = rest < sizeof(WalRecordHeader) ? position_ + rest : position_;
  ASSIGN_OR_RETURN(std::optional<WalRecord> record, ReadAt(at));
  if (record) position_ = record->end;
  return record;
}

Result<std::optional<WalRecord>> WalReader::Next() {
  for (;;) {
    ASSIGN_OR_RETURN(std::optional<WalRecord> record, NextOfAll());
    if (!record || record->header.type >= kFirstStorageWalType) return record;
  }
}

}  // namespace warren
