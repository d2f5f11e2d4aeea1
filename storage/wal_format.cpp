#include "storage/wal_format.h"

// The state of a hash over several pieces lies on the stack.
#define XXH_STATIC_LINKING_ONLY
#include <fmt/format.h>
#include <xxhash.h>

#include <array>
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

std::string WalSegmentName(uint64_t segment_no) { return fmt::format("{:016x}", segment_no); }

}  // namespace warren
