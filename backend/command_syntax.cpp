#include "backend/command_syntax.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"

namespace warren {
namespace {

using Arguments = std::vector<SyntaxArgument>;

bool IsToken(std::string_view word) {
  return !word.empty() && std::ranges::none_of(word, [](char c) { return c >= 'a' && c <= 'z'; });
}

std::string_view TypeOf(std::string_view name) {
  for (const std::string_view key : {"key", "newkey", "source", "destination"}) {
    if (name == key) return "key";
  }
  if (name == "pattern") return "pattern";
  return name.starts_with("unix-time") ? "unix-time" : "string";
}

SyntaxArgument PureToken(std::string_view token) {
  return {.name = AsciiLower(token), .type = "pure-token", .token = std::string(token)};
}

// Several arguments as one.
SyntaxArgument Together(std::string_view type, Arguments parts) {
  if (parts.size() == 1) return std::move(parts[0]);
  std::string name = type == "oneof" ? "choice" : "block";
  return {.name = std::move(name), .type = std::string(type), .parts = std::move(parts)};
}

// Words and the signs [ ] < > | ... one after another. A|B of tokens alone is one word.
std::vector<std::string_view> SplitSyntax(std::string_view text) {
  std::vector<std::string_view> words;
  constexpr std::string_view kEnds = " []<>|";
  while (!text.empty()) {
    size_t bytes = text.find_first_of(kEnds);
    if (bytes == 0) bytes = 1;
    bytes = std::min(bytes, text.size());
    while (IsToken(text.substr(0, bytes)) && bytes < text.size() && text[bytes] == '|') {
      const size_t end = std::min(text.find_first_of(kEnds, bytes + 1), text.size());
      if (!IsToken(text.substr(bytes + 1, end - bytes - 1))) break;
      bytes = end;
    }
    if (text[0] != ' ') words.push_back(text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
  return words;
}

class SyntaxParser {
 public:
  explicit SyntaxParser(std::vector<std::string_view> words) : words_(std::move(words)) {}

  // Up to the sign that ends the group, or the end.
  Arguments Alternatives() {
    Arguments choices;
    Arguments sequence = Sequence();
    while (Next() == "|") {
      ++at_;
      choices.push_back(Together("block", std::move(sequence)));
      sequence = Sequence();
    }
    if (choices.empty()) return sequence;
    choices.push_back(Together("block", std::move(sequence)));
    return {Together("oneof", std::move(choices))};
  }

 private:
  std::string_view Next() const { return at_ < words_.size() ? words_[at_] : std::string_view{}; }

  Arguments Sequence() {
    Arguments sequence;
    for (std::string_view word = Next(); !word.empty(); word = Next()) {
      if (word == "|" || word == "]" || word == ">") break;
      ++at_;
      if (word == "...") {
        repeated_ = true;
      } else if (word == "[") {
        Optional(&sequence);
      } else {
        sequence.push_back(IsToken(word) ? Token(word) : One(word));
      }
    }
    return sequence;
  }

  SyntaxArgument Token(std::string_view word) {
    if (word == "<") return Group();
    if (word.find('|') != std::string_view::npos) return OneToken(word);
    const std::string_view next = Next();
    const bool group = next == "<";
    const bool choice = IsToken(next) && next.find('|', 1) != std::string_view::npos;
    const bool argument = !next.empty() && !IsToken(next) && next != "...";
    if (!group && !choice && !argument) return PureToken(word);
    ++at_;
    SyntaxArgument what = group ? Group() : choice ? OneToken(next) : One(next);
    what.token = word;
    return what;
  }

  SyntaxArgument Group() {
    SyntaxArgument group = Together("block", Alternatives());
    ++at_;  // ">"
    return group;
  }

  static SyntaxArgument One(std::string_view word) {
    return {.name = std::string(word), .type = std::string(TypeOf(word))};
  }

  static SyntaxArgument OneToken(std::string_view words) {
    Arguments choices;
    while (!words.empty()) {
      const size_t bar = std::min(words.find('|'), words.size());
      choices.push_back(PureToken(words.substr(0, bar)));
      words.remove_prefix(std::min(bar + 1, words.size()));
    }
    return Together("oneof", std::move(choices));
  }

  // "key [key ...]": the arguments before are those that may come again.
  void Optional(Arguments* before) {
    repeated_ = false;
    Arguments inner = Alternatives();
    ++at_;  // "]"
    const bool repeated = std::exchange(repeated_, false);
    const size_t n = inner.size();
    const bool again =
        repeated && before->size() >= n &&
        std::equal(inner.begin(), inner.end(), before->end() - static_cast<std::ptrdiff_t>(n),
                   [](const auto& a, const auto& b) { return a.name == b.name; });
    if (again) before->resize(before->size() - n);
    SyntaxArgument argument = Together("block", std::move(inner));
    argument.optional = !again;
    argument.multiple = repeated;
    before->push_back(std::move(argument));
  }

  std::vector<std::string_view> words_;
  size_t at_ = 0;
  bool repeated_ = false;
};

}  // namespace

std::vector<SyntaxArgument> ParseSyntax(const CommandInfo& info) {
  auto words = SplitSyntax(info.syntax);
  const bool sub = info.name.find('|') != std::string_view::npos;
  words.erase(words.begin(),
              words.begin() + std::min<std::ptrdiff_t>(sub ? 2 : 1, std::ssize(words)));
  return SyntaxParser(std::move(words)).Alternatives();
}

}  // namespace warren
