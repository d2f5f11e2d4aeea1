// Does a text match a glob-style pattern, with Redis's meaning of one?
//
//   *       any bytes, also none          [abc]  one of these bytes, ranges as in [a-z]
//   ?       one byte                      [^abc] one byte that is none of these
//   \x      x itself
//
// Time is bounded by the product of both lengths, whatever the pattern.
#pragma once

#include <string_view>

namespace warren {

enum class GlobCase : unsigned char { kSensitive, kIgnore };

bool GlobMatch(std::string_view pattern, std::string_view text,
               GlobCase letter_case = GlobCase::kSensitive);

}  // namespace warren
