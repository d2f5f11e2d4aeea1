#include <array>
#include <cstddef>

#include "base/checksum.h"

#include <doctest/doctest.h>

using warren::Checksum64;

TEST_CASE("a checksum depends on every bit and on the seed") {
  std::array<std::byte, 8192> bytes{};
  const uint64_t zero = Checksum64(bytes, 7);
  CHECK(Checksum64(bytes, 7) == zero);
  CHECK(Checksum64(bytes, 8) != zero);
  for (size_t i : {size_t{0}, size_t{4095}, size_t{8191}}) {
    bytes[i] ^= std::byte{0x10};
    CHECK(Checksum64(bytes, 7) != zero);
    bytes[i] ^= std::byte{0x10};
  }
}

TEST_CASE("the checksum is XXH3, so that files stay readable") {
  CHECK(Checksum64({}, 0) == 0x2d06800538d394c2u);
}
