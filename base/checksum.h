// Are these bytes the ones that were written?
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace warren {

// XXH3, 64 bits. The seed says where the bytes belong (a page number, a log position), so that good
// bytes in the wrong place fail too.
uint64_t Checksum64(std::span<const std::byte> bytes, uint64_t seed);

}  // namespace warren
