// What are the bytes of the log?
//
// The log is one stream of bytes; an LSN is a position in it. It is cut into files of
// kSegmentBytes, `wal/` + the segment's number in 16 hex digits; number = LSN / kSegmentBytes. A
// record never crosses a segment's end, and begins at a multiple of 8.
//
//   record  offset  bytes  field
//           0       4      bytes: header and body, without the padding to the next multiple of 8
//           4       1      type (record_list.def, or one of WalOwnType)
//           5       1      flags (of the type)
//           6       2      reserved, 0
//           8       4      start count of the server run that wrote it
//           12      4      head_bytes: of the body; the rest of it is the tail
//           16      8      checksum
//           24      ...    body: head, then tail
//
// Valid if: bytes >= 24; it ends inside its segment; the checksum, seeded with the record's own
// LSN, fits; and its start count is not lower than its predecessor's. The last condition is what
// tells a new end of the log from an older record that by chance begins exactly there: it was
// written by an earlier run, at the same LSN, and so its checksum fits.
//
// Each segment begins with a kSegmentStart record; what a record does not fit into at a segment's
// end is filled with one kPad record, or with fewer than 24 bytes of anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace warren {

inline constexpr uint64_t kSegmentBytes = 16ull << 20;
inline constexpr Lsn kFirstLsn = kSegmentBytes;  // 0 means "never", so segment 0 is not used
inline constexpr uint32_t kMaxWalRecordBytes = 96 * 1024;
inline constexpr uint32_t kWalFormatVersion = 2;

struct WalRecordHeader {
  uint32_t bytes;
  uint8_t type;
  uint8_t flags;
  uint16_t reserved16;
  uint32_t start_count;
  uint32_t head_bytes;
  uint64_t checksum;
};
static_assert(sizeof(WalRecordHeader) == 24);

// Types that belong to the log itself; storage's begin above them.
enum class WalOwnType : uint8_t { kPad = 1, kSegmentStart = 2 };
inline constexpr uint8_t kFirstStorageWalType = 16;

// What storage writes into the log.
enum StorageWalType : uint8_t {
  kPageChange = kFirstStorageWalType,  // head: a record (record.h), tail: page images
  kCheckpoint,                         // head: the counts of all databases (checkpoint.h)
  kTimeMark,                           // head: TimeMark (wal_time.h)
  kCommitChunk,                        // changes of a commit (commit_record.h)
  kCommit,                             // the same, and the commit point
  kCommitEnd,                          // all changes of a commit have been made
  kTokenLimit,                         // head: TokenLimit (fencing.h)
};

struct WalSegmentStart {
  uint64_t magic;
  uint64_t system_id;
  uint64_t segment_no;
  uint32_t format_version;
  uint32_t reserved;
};
inline constexpr uint64_t kWalSegmentMagic = 0x314c41574e524157ull;  // "WARNWAL1", little endian
static_assert(sizeof(WalSegmentStart) == 32);

constexpr Lsn AlignLsn(Lsn lsn) { return (lsn + 7) & ~Lsn{7}; }
constexpr uint64_t SegmentOf(Lsn lsn) { return lsn / kSegmentBytes; }
constexpr uint64_t SegmentOffset(Lsn lsn) { return lsn % kSegmentBytes; }

// Where a record of `bytes` goes when the log ends at `end` (aligned): the same place, or the next
// segment's first place behind its start record.
inline constexpr uint32_t kSegmentStartRecordBytes =
    sizeof(WalRecordHeader) + sizeof(WalSegmentStart);
static_assert(kSegmentStartRecordBytes % 8 == 0);

// The checksum of a record: of the header's other fields and its body's hash, seeded with the
// record's LSN. The body's hash is that of the head, seeded with that of the tail: the tail (page
// images) can be hashed before the insert lock is taken, the small head may be completed under it.
uint64_t WalChecksum(const WalRecordHeader& header, uint64_t body_hash, Lsn lsn);
uint64_t WalTailHash(std::span<const std::span<const std::byte>> pieces);  // 0 if there is no tail
uint64_t WalBodyHash(std::span<const std::byte> head, uint64_t tail_hash);

// Can this be the head of a record at `lsn`? (The lengths only.)
bool PlausibleRecord(const WalRecordHeader& header, Lsn lsn);
// The checksum of a plausible record, whose bytes are all there (of a pad: its header).
bool ValidRecord(std::span<const std::byte> record, Lsn lsn);

std::string WalSegmentName(uint64_t segment_no);  // 16 hex digits, without directory
std::optional<uint64_t> ParseWalSegmentName(std::string_view name);  // nothing if it is none

}  // namespace warren
