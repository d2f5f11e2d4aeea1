#include "storage/wal_format.h"

// The state of a hash over several pieces lies on the stack.
#define XXH_STATIC_LINKING_ONLY
#include <fmt/format.h>
#include <xxhash.h>

#include <array>
#include <charconv>
#include <cstring>

namespace warren {

uint64_t WalChecksum(const WalRecordHeader& header, uint64_t body_hash, Lsn lsn) {
  std::array<std::byte, offsetof(WalRecordHeader, checksum) + sizeof(body_hash)> bytes;
  std::memcpy(bytes.data(), &header, offsetof(WalRecordHeader, checksum));
  std::memcpy(bytes.data() + offsetof(WalRecordHeader, checksum), &body_hash, sizeof(body_hash));
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), lsn);
}

uint64_t WalTailHash(std::span<const std::span<const std::byte>> pieces) {
  if (pieces.empty()) return 0;
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  for (const std::span<const std::byte> piece : pieces) {
    XXH3_64bits_update(&state, piece.data(), piece.size());
  }
  return XXH3_64bits_digest(&state);
}

uint64_t WalBodyHash(std::span<const std::byte> head, uint64_t tail_hash) {
  return XXH3_64bits_withSeed(head.data(), head.size(), tail_hash);
}

bool PlausibleRecord(const WalRecordHeader& header, Lsn lsn) {
  const bool is_pad = header.type == static_cast<uint8_t>(WalOwnType::kPad);
  return header.bytes >= sizeof(WalRecordHeader) &&
         SegmentOffset(lsn) + header.bytes <= kSegmentBytes &&
         (is_pad || header.bytes <= kMaxWalRecordBytes) &&
         (is_pad || header.head_bytes <= header.bytes - sizeof(WalRecordHeader));
}

bool ValidRecord(std::span<const std::byte> record, Lsn lsn) {
  WalRecordHeader header;
  std::memcpy(&header, record.data(), sizeof header);
  uint64_t body_hash = 0;  // of a pad, whose body is anything
  if (header.type != static_cast<uint8_t>(WalOwnType::kPad)) {
    const std::span<const std::byte> body = record.subspan(sizeof header);
    const std::span<const std::byte> tail = body.subspan(header.head_bytes);
    body_hash = WalBodyHash(body.first(header.head_bytes),
                            tail.empty() ? 0 : WalTailHash(std::span(&tail, 1)));
  }
  return WalChecksum(header, body_hash, lsn) == header.checksum;
}

std::string WalSegmentName(uint64_t segment_no) { return fmt::format("{:016x}", segment_no); }

std::optional<uint64_t> ParseWalSegmentName(std::string_view name) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number, 16);
  if (error != std::errc() || name != WalSegmentName(number)) return std::nullopt;
  return number;
}

}  // namespace warren
