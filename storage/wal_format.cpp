#include "storage/wal_format.h"

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

uint64_t WalBodyHash(const void* body, size_t bytes) { return XXH3_64bits(body, bytes); }

std::string WalSegmentName(uint64_t segment_no) { return fmt::format("{:016x}", segment_no); }

}  // namespace warren
