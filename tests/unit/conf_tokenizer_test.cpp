#include <string>
#include <vector>

#include "conf/tokenizer.h"

#include <doctest/doctest.h>

using namespace std::string_literals;
using namespace std::string_view_literals;
using warren::QuoteWord;
using warren::SplitWords;
using Words = std::vector<std::string>;

namespace {

bool Unbalanced(std::string_view line) {
  const auto words = SplitWords(line);
  return !words.ok() && words.error().message == "unbalanced quotes";
}

}  // namespace

TEST_CASE("words are separated by any blanks") {
  CHECK(*SplitWords("") == Words{});
  CHECK(*SplitWords(" \t\r\n") == Words{});
  CHECK(*SplitWords(" set  a\tb\r\n") == Words{"set", "a", "b"});
  CHECK(*SplitWords("a\0b"sv) == Words{"a", "b"});
}

TEST_CASE("double quotes keep blanks and know escapes") {
  CHECK(*SplitWords(R"("a b" c)") == Words{"a b", "c"});
  CHECK(*SplitWords(R"("\n\r\t\b\a\\\"\q")") == Words{"\n\r\t\b\a\\\"q"});
  CHECK(*SplitWords(R"("\x00\xFf\xg1")") == Words{"\0\xffxg1"s});
  CHECK(*SplitWords(R"("it's")") == Words{"it's"});
  CHECK(*SplitWords(R"("")") == Words{""});
}

TEST_CASE("single quotes keep everything but an escaped single quote") {
  CHECK(*SplitWords(R"('a "b"')") == Words{"a \"b\""});
  CHECK(*SplitWords(R"('a\'b\n')") == Words{"a'b\\n"});
  CHECK(*SplitWords("''") == Words{""});
}

TEST_CASE("a quote within a word begins a quoted part") {
  CHECK(*SplitWords(R"(foo"bar baz" x)") == Words{"foobar baz", "x"});
}

TEST_CASE("a backslash outside quotes is a byte like any other") {
  CHECK(*SplitWords(R"(C:\n a\"b")") == Words{"C:\\n", "a\\b"});
}

TEST_CASE("quotes that do not close or are followed by text are unbalanced") {
  CHECK(Unbalanced("\"abc"));
  CHECK(Unbalanced("'abc"));
  CHECK(Unbalanced(R"("abc\")"));
  CHECK(Unbalanced("\"abc\\"));
  CHECK(Unbalanced(R"("abc"d)"));
  CHECK(Unbalanced("'abc'd"));
  CHECK(Unbalanced(R"("a""b")"));
}

TEST_CASE("a quoted word splits into itself") {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  for (const std::string& word : {all, ""s, "a b"s, "\\"s, "\""s, "plain"s, "#x"s}) {
    CHECK(*SplitWords(QuoteWord(word)) == Words{word});
    CHECK(QuoteWord(word).find('\n') == std::string::npos);
  }
  CHECK(QuoteWord("plain-1.2/x") == "plain-1.2/x");
  CHECK(warren::JoinWords(Words{"a", "", "b c"}) == R"(a "" "b c")");
}
