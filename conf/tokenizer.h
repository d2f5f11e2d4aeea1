// Which words does a line consist of?
//
// One grammar for configuration lines and for inline commands: words are separated by blanks;
// within double quotes \n \r \t \b \a \xHH and \ before any other byte are escapes; within single
// quotes only \' is. A closing quote is followed by a blank or the line's end. Binary-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace warren {

// The words of `line`, none for an empty one. Error: "unbalanced quotes".
Result<std::vector<std::string>> SplitWords(std::string_view line);

// `word` so that SplitWords gives it back: bare if that is possible, else in double quotes.
std::string QuoteWord(std::string_view word);

// The line of which SplitWords makes `words`.
std::string JoinWords(std::span<const std::string> words);

}  // namespace warren
