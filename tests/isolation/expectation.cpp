#include "tests/isolation/expectation.h"

#include <cctype>
#include <cstdlib>
#include <stdexcept>

namespace warren::test {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Expectation Whole() {
    SkipBlanks();
    if (Peek() == '-' && !IsInteger(text_.substr(at_))) {
      return {.kind = Expectation::kError, .text = std::string(text_.substr(at_)), .elements = {}};
    }
    Expectation result = One();
    SkipBlanks();
    if (at_ != text_.size()) Fail("something follows the expected reply");
    return result;
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw std::runtime_error(what + ": " + std::string(text_));
  }
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void SkipBlanks() {
    while (Peek() == ' ') ++at_;
  }
  static bool IsInteger(std::string_view word) {
    if (word.starts_with('-')) word.remove_prefix(1);
    if (word.empty()) return false;
    for (const char c : word) {
      if (std::isdigit(static_cast<unsigned char>(c)) == 0) return false;
    }
    return true;
  }

  Expectation One() {
    switch (Peek()) {
      case '\0':
        Fail("a reply is missing");
      case '"':
        return Quoted();
      case '[':
        return List(Expectation::kArray, ']');
      case '{':
        return List(Expectation::kAnyOrder, '}');
      default:
        return Word();
    }
  }

  Expectation Quoted() {
    Expectation result{.kind = Expectation::kString, .text = {}, .elements = {}};
    for (++at_; Peek() != '"'; ++at_) {
      if (at_ >= text_.size()) Fail("a quote is not closed");
      if (Peek() == '\\') ++at_;
      result.text += Peek();
    }
    ++at_;
    return result;
  }

  Expectation List(Expectation::Kind kind, char end) {
    Expectation result{.kind = kind, .text = {}, .elements = {}};
    ++at_;
    for (SkipBlanks(); Peek() != end; SkipBlanks()) result.elements.push_back(One());
    ++at_;
    return result;
  }

  Expectation Word() {
    const size_t begin = at_;
    while (Peek() != '\0' && std::string_view(" ]}").find(Peek()) == std::string_view::npos) ++at_;
    const std::string word(text_.substr(begin, at_ - begin));
    if (word == "nil") return {.kind = Expectation::kNil, .text = {}, .elements = {}};
    if (word == "*") return {.kind = Expectation::kAnything, .text = {}, .elements = {}};
    if (word == "closed") return {.kind = Expectation::kClosed, .text = {}, .elements = {}};
    if (word == "done") return {.kind = Expectation::kDone, .text = {}, .elements = {}};
    if (IsInteger(word)) return {.kind = Expectation::kInteger, .text = word, .elements = {}};
    if (word[0] == '-') return {.kind = Expectation::kError, .text = word, .elements = {}};
    if (word[0] == '$') return Variable(Expectation::kRemember, word.substr(1));
    if (word.starts_with(">$")) return Variable(Expectation::kLarger, word.substr(2));
    if (word.starts_with("=$")) return Variable(Expectation::kSame, word.substr(2));
    return {.kind = Expectation::kStatus, .text = word, .elements = {}};
  }

  Expectation Variable(Expectation::Kind kind, const std::string& name) const {
    if (name.empty()) Fail("a variable needs a name");
    return {.kind = kind, .text = name, .elements = {}};
  }

  std::string_view text_;
  size_t at_ = 0;
};

// Each expected element takes the first reply that fits and is free.
bool MatchInAnyOrder(const std::vector<Expectation>& expected, std::vector<Reply> found,
                     Variables& variables) {
  if (expected.size() != found.size()) return false;
  for (const Expectation& one : expected) {
    size_t i = 0;
    while (i < found.size() && !one.Matches(found[i], variables)) ++i;
    if (i == found.size()) return false;
    found.erase(found.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return true;
}

bool MatchInOrder(const std::vector<Expectation>& expected, const std::vector<Reply>& found,
                  Variables& variables) {
  if (expected.size() != found.size()) return false;
  for (size_t i = 0; i < found.size(); ++i) {
    if (!expected[i].Matches(found[i], variables)) return false;
  }
  return true;
}

std::string ValueOf(const Reply& reply) {
  return reply.type == Reply::kInteger ? std::to_string(reply.integer) : reply.text;
}

}  // namespace

Expectation Expectation::Parse(std::string_view text) { return Parser(text).Whole(); }

bool Expectation::Matches(const Reply& reply, Variables& variables) const {
  const bool has_value = reply.type == Reply::kInteger || reply.type == Reply::kString;
  switch (kind) {
    case kStatus:
      return reply.type == Reply::kStatus && reply.text == text;
    case kInteger:
      return reply.type == Reply::kInteger && std::to_string(reply.integer) == text;
    case kString:
      return reply.type == Reply::kString && reply.text == text;
    case kNil:
      return reply.nil();
    case kError:
      return reply.is_error() && GlobMatches(text + "*", "-" + reply.text);
    case kArray:
      return reply.type == Reply::kArray && MatchInOrder(elements, reply.elements, variables);
    case kAnyOrder:
      return reply.type == Reply::kArray && MatchInAnyOrder(elements, reply.elements, variables);
    case kAnything:
      return !reply.closed();
    case kClosed:
      return reply.closed();
    case kDone:
      return reply.ok();
    case kRemember:
      if (has_value) variables[text] = ValueOf(reply);
      return has_value;
    case kLarger:
      return reply.type == Reply::kInteger && variables.contains(text) &&
             reply.integer > std::atoll(variables.at(text).c_str());
    case kSame:
      return has_value && variables.contains(text) && ValueOf(reply) == variables.at(text);
  }
  return false;
}

std::string ToText(const Reply& reply) {
  switch (reply.type) {
    case Reply::kClosed:
      return "closed";
    case Reply::kStatus:
      return reply.text;
    case Reply::kError:
      return "-" + reply.text;
    case Reply::kInteger:
      return std::to_string(reply.integer);
    case Reply::kNil:
      return "nil";
    case Reply::kString:
      return '"' + reply.text + '"';
    default:
      break;
  }
  std::string text = "[";
  for (const Reply& element : reply.elements) {
    if (text.size() > 1) text += ' ';
    text += ToText(element);
  }
  return text + "]";
}

bool GlobMatches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace warren::test
