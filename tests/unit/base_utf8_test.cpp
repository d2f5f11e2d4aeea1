#include "base/utf8.h"

#include <doctest/doctest.h>

using warren::Utf8SequenceBytes;

TEST_CASE("well-formed sequences have their length") {
  CHECK(Utf8SequenceBytes("a") == 1);
  CHECK(Utf8SequenceBytes("\xc3\xa4") == 2);
  CHECK(Utf8SequenceBytes("\xe2\x82\xac") == 3);
  CHECK(Utf8SequenceBytes("\xf0\x9f\x98\x80x") == 4);
}

TEST_CASE("ill-formed sequences have none") {
  CHECK(Utf8SequenceBytes("") == 0);
  CHECK(Utf8SequenceBytes("\x80") == 0);
  CHECK(Utf8SequenceBytes("\xc3") == 0);
  CHECK(Utf8SequenceBytes("\xc0\x80") == 0);
  CHECK(Utf8SequenceBytes("\xe0\x80\x80") == 0);
  CHECK(Utf8SequenceBytes("\xed\xa0\x80") == 0);
  CHECK(Utf8SequenceBytes("\xe2\x82") == 0);
  CHECK(Utf8SequenceBytes("\xf0\x80\x80\x80") == 0);
  CHECK(Utf8SequenceBytes("\xf4\x90\x80\x80") == 0);
  CHECK(Utf8SequenceBytes("\xff") == 0);
}
