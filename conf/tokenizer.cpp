#include "conf/tokenizer.h"

#include <iterator>

namespace warren {
namespace {

// A zero byte separates too: a word from a client is never silently cut at one.
bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f' || c == '\0';
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char Unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

class Splitter {
 public:
  explicit Splitter(std::string_view line) : line_(line) {}

  // False at the line's end.
  bool SkipBlanks() {
    while (!AtEnd() && IsBlank(line_[at_])) ++at_;
    return !AtEnd();
  }

  // The word that begins here. False if its quotes are not balanced.
  bool ReadWord(std::string& word) {
    while (!AtEnd() && !IsBlank(line_[at_])) {
      const char c = line_[at_++];
      if (c == '"' || c == '\'') {
        if (!ReadQuoted(c, word)) return false;
      } else {
        word += c;
      }
    }
    return true;
  }

 private:
  bool AtEnd() const { return at_ >= line_.size(); }
  char Peek(size_t ahead) const { return at_ + ahead < line_.size() ? line_[at_ + ahead] : '\0'; }

  // Behind the opening quote; leaves behind the closing one, which must end the word.
  bool ReadQuoted(char quote, std::string& word) {
    while (!AtEnd()) {
      const char c = line_[at_++];
      if (c == quote) return AtEnd() || IsBlank(line_[at_]);
      if (c == '\\' && quote == '"') {
        if (!ReadEscape(word)) return false;
      } else if (c == '\\' && Peek(0) == '\'') {
        word += line_[at_++];
      } else {
        word += c;
      }
    }
    return false;
  }

  // Behind the backslash. False at the line's end.
  bool ReadEscape(std::string& word) {
    if (AtEnd()) return false;
    const int high = HexDigit(Peek(1));
    const int low = HexDigit(Peek(2));
    if (line_[at_] == 'x' && high >= 0 && low >= 0) {
      word += static_cast<char>(high * 16 + low);
      at_ += 3;
    } else {
      word += Unescape(line_[at_++]);
    }
    return true;
  }

  std::string_view line_;
  size_t at_ = 0;
};

bool NeedsQuotes(char c) {
  return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '"' || c == '\'' || c == '\\' ||
         c == '#';
}

void AppendEscaped(std::string& text, char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\') {
    text += '\\';
    text += c;
  } else if (byte < ' ' || byte == 0x7f) {
    fmt::format_to(std::back_inserter(text), "\\x{:02x}", byte);
  } else {
    text += c;
  }
}

}  // namespace

Result<std::vector<std::string>> SplitWords(std::string_view line) {
  Splitter splitter(line);
  std::vector<std::string> words;
  while (splitter.SkipBlanks()) {
    if (!splitter.ReadWord(words.emplace_back())) {
      return MakeError(ErrorCode::kGeneric, "unbalanced quotes");
    }
  }
  return words;
}

std::string QuoteWord(std::string_view word) {
  bool bare = !word.empty();
  for (const char c : word) bare = bare && !NeedsQuotes(c);
  if (bare) return std::string(word);
  std::string text = "\"";
  for (const char c : word) AppendEscaped(text, c);
  return text + '"';
}

std::string JoinWords(std::span<const std::string> words) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    line += QuoteWord(word);
  }
  return line;
}

}  // namespace warren
