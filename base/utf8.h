// Is this text UTF-8?
#pragma once

#include <cstddef>
#include <string_view>

namespace warren {

// The bytes of the well-formed UTF-8 sequence that `text` begins with (1 to 4: no overlong form, no
// surrogate, nothing above U+10FFFF), or 0 if it begins with none.
inline size_t Utf8SequenceBytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  if (text.empty()) return 0;
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return continues(1) ? 2 : 0;
  if (!continues(1) || !continues(2)) return 0;
  const unsigned second = byte(1);
  if (first >= 0xe0 && first < 0xf0) {
    const bool overlong = first == 0xe0 && second < 0xa0;
    const bool surrogate = first == 0xed && second >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (first < 0xf0 || first > 0xf4 || !continues(3)) return 0;
  const bool overlong = first == 0xf0 && second < 0x90;
  const bool too_high = first == 0xf4 && second >= 0x90;
  return overlong || too_high ? 0 : 4;
}

}  // namespace warren
