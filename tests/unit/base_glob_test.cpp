#include "base/glob.h"

#include <doctest/doctest.h>

#include <string>

#include "base/ascii.h"

namespace warren {

TEST_CASE("a glob without special bytes matches itself only") {
  CHECK(GlobMatch("abc", "abc"));
  CHECK_FALSE(GlobMatch("abc", "abcd"));
  CHECK_FALSE(GlobMatch("abc", "ab"));
  CHECK_FALSE(GlobMatch("abc", "aBc"));
  CHECK(GlobMatch("", ""));
  CHECK_FALSE(GlobMatch("", "a"));
}

TEST_CASE("a star takes any bytes and a question mark takes one") {
  CHECK(GlobMatch("*", ""));
  CHECK(GlobMatch("*", "anything"));
  CHECK(GlobMatch("a*c", "ac"));
  CHECK(GlobMatch("a*c*e", "abcde"));
  CHECK_FALSE(GlobMatch("a*c*e", "abcd"));
  CHECK(GlobMatch("**b", "aab"));
  CHECK(GlobMatch("h?llo", "hello"));
  CHECK_FALSE(GlobMatch("h?llo", "hllo"));
  CHECK(GlobMatch("*:?", std::string("\0\xff:x", 4)));
}

TEST_CASE("a set in a glob has ranges, a negation and escapes") {
  CHECK(GlobMatch("h[ae]llo", "hallo"));
  CHECK_FALSE(GlobMatch("h[ae]llo", "hillo"));
  CHECK(GlobMatch("h[^e]llo", "hallo"));
  CHECK_FALSE(GlobMatch("h[^e]llo", "hello"));
  CHECK(GlobMatch("h[a-c]llo", "hbllo"));
  CHECK(GlobMatch("h[c-a]llo", "hbllo"));
  CHECK(GlobMatch("[\\]]", "]"));
  CHECK(GlobMatch("[a-", "a"));
  CHECK(GlobMatch("[ab", "b"));
  CHECK_FALSE(GlobMatch("[", "["));
  CHECK(GlobMatch("*[0-9]", "user:1234"));
  CHECK_FALSE(GlobMatch("*[0-9]", "user:"));
}

TEST_CASE("a backslash in a glob takes the next byte literally") {
  CHECK(GlobMatch("a\\*c", "a*c"));
  CHECK_FALSE(GlobMatch("a\\*c", "abc"));
  CHECK(GlobMatch("a\\", "a\\"));
}

TEST_CASE("a glob can ignore the case of letters") {
  CHECK(GlobMatch("MAX*", "maxclients", GlobCase::kIgnore));
  CHECK(GlobMatch("[A-C]x", "bX", GlobCase::kIgnore));
  CHECK_FALSE(GlobMatch("MAX*", "maxclients"));
  CHECK(EqualsIgnoreCase("GeT", "gEt"));
  CHECK_FALSE(EqualsIgnoreCase("get", "gets"));
}

TEST_CASE("a glob of many stars stays fast on a text that nearly matches") {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "a*";
  CHECK_FALSE(GlobMatch(pattern + "b", std::string(2000, 'a')));
}

}  // namespace warren
