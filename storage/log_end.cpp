#include "storage/log_end.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "storage/wal_format.h"
#include "storage/wal_reader.h"
#include "storage/wal_segments.h"
#include "storage/wal_time.h"

namespace warren {
namespace {

constexpr size_t kZeroBytes = 1 << 20;

// Whether `record` lies behind the target.
bool IsBehind(const LogTarget& target, const WalRecord& record) {
  if (target.lsn.has_value() && record.end > *target.lsn) return true;
  const std::optional<int64_t> time_us = TimeOf(record);
  return target.time_us.has_value() && time_us.has_value() && *time_us > *target.time_us;
}

// The segment behind a log that ends with a whole one, if it does.
std::optional<uint64_t> SegmentBehind(Lsn position) {
  const uint64_t offset = SegmentOffset(position);
  if (offset == 0) return SegmentOf(position);
  if (kSegmentBytes - offset < sizeof(WalRecordHeader)) return SegmentOf(position) + 1;
  return std::nullopt;
}

}  // namespace

Result<LogEnd> FindLogEnd(Lsn start, const LogTarget& target, FetchSegment fetch) {
  LogEnd result{.end = start, .newest_time_us = {}, .reason = {}};
  WalReader reader(start);
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<WalRecord> record, reader.Next());
    if (record.has_value()) {
      result.target_reached = IsBehind(target, *record);
      if (result.target_reached) return result;
      if (const auto time_us = TimeOf(*record)) result.newest_time_us = time_us;
      result.newest_start_count = record->header.start_count;
      result.end = record->end;
      continue;
    }
    if (const std::optional<uint64_t> next = SegmentBehind(reader.position())) {
      ASSIGN_OR_RETURN(const bool fetched, fetch(*next));
      if (fetched) continue;
    }
    result.end = reader.position();
    result.reason = reader.end_reason();
    return result;
  }
}

Status CutLog(Lsn end) {
  const uint64_t offset = SegmentOffset(end);
  // Later segments first: what was zeroed can't be taken for the log's end while they are there.
  RETURN_IF_ERROR(WalSegments::RemoveFrom(SegmentOf(end) + (offset == 0 ? 0 : 1)));
  if (offset == 0) return {};
  const std::vector<std::byte> zeros(kZeroBytes);
  for (uint64_t done = offset; done < kSegmentBytes;) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(zeros.size(), kSegmentBytes - done));
    RETURN_IF_ERROR(WalSegments::Write(end - offset + done, zeros.data(), size));
    done += size;
  }
  return WalSegments::Sync(SegmentOf(end));
}

std::optional<SegmentIdentity> IdentifySegment(std::span<const std::byte> beginning,
                                               uint64_t segment_no) {
  if (beginning.size() < kSegmentStartRecordBytes) return std::nullopt;
  const std::span<const std::byte> record = beginning.first(kSegmentStartRecordBytes);
  const Lsn lsn = segment_no * kSegmentBytes;
  WalRecordHeader header;
  std::memcpy(&header, record.data(), sizeof header);
  if (header.type != static_cast<uint8_t>(WalOwnType::kSegmentStart) ||
      header.bytes != kSegmentStartRecordBytes || !PlausibleRecord(header, lsn) ||
      !ValidRecord(record, lsn)) {
    return std::nullopt;
  }
  WalSegmentStart start;
  std::memcpy(&start, record.data() + sizeof header, sizeof start);
  if (start.magic != kWalSegmentMagic || start.segment_no != segment_no) return std::nullopt;
  return SegmentIdentity{start.system_id, header.start_count};
}

}  // namespace warren
