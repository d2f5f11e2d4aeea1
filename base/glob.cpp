#include "base/glob.h"

#include <algorithm>
#include <cstddef>

#include "base/ascii.h"

namespace warren {
namespace {

unsigned char Fold(char c, GlobCase letter_case) {
  return static_cast<unsigned char>(letter_case == GlobCase::kIgnore ? AsciiLower(c) : c);
}

// Matches `c` with the set whose '[' stands at *at, and moves *at past it. A set without its ']'
// ends with the pattern.
bool MatchSet(std::string_view pattern, size_t* at, char c, GlobCase letter_case) {
  const unsigned char wanted = Fold(c, letter_case);
  size_t p = *at + 1;
  const bool negated = p < pattern.size() && pattern[p] == '^';
  if (negated) ++p;
  bool match = false;
  while (p < pattern.size() && pattern[p] != ']') {
    if (pattern[p] == '\\' && p + 1 < pattern.size()) {
      match |= Fold(pattern[p + 1], letter_case) == wanted;
      p += 2;
    } else if (p + 2 < pattern.size() && pattern[p + 1] == '-') {
      auto low = Fold(pattern[p], letter_case), high = Fold(pattern[p + 2], letter_case);
      if (low > high) std::swap(low, high);
      match |= low <= wanted && wanted <= high;
      p += 3;
    } else {
      match |= Fold(pattern[p], letter_case) == wanted;
      ++p;
    }
  }
  *at = p < pattern.size() ? p + 1 : p;
  return match != negated;
}

// Matches `c` with the element at *at (not a '*') and moves *at past it.
bool MatchOne(std::string_view pattern, size_t* at, char c, GlobCase letter_case) {
  switch (pattern[*at]) {
    case '?':
      ++*at;
      return true;
    case '[':
      return MatchSet(pattern, at, c, letter_case);
    case '\\':
      if (*at + 1 < pattern.size()) ++*at;
      break;
    default:
      break;
  }
  return Fold(pattern[(*at)++], letter_case) == Fold(c, letter_case);
}

}  // namespace

bool GlobMatch(std::string_view pattern, std::string_view text, GlobCase letter_case) {
  constexpr size_t kNoStar = std::string_view::npos;
  size_t p = 0, t = 0;
  // Only the last star need ever take more bytes: whatever an earlier one could reach, it can too.
  size_t after_star = kNoStar, star_end = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      after_star = ++p;
      if (p == pattern.size()) return true;
      star_end = t;
      continue;
    }
    size_t next = p;
    if (p < pattern.size() && MatchOne(pattern, &next, text[t], letter_case)) {
      p = next;
      ++t;
    } else if (after_star != kNoStar) {
      p = after_star;
      t = ++star_end;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace warren
