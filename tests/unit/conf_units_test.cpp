#include <optional>
#include <string_view>

#include "conf/settings.h"
#include "conf/units.h"

#include <doctest/doctest.h>

using namespace warren;

TEST_CASE("sizes count thousands with k and 1024s with kb, in any case of letters") {
  CHECK(ParseSize("0") == 0);
  CHECK(ParseSize("17") == 17);
  CHECK(ParseSize("17b") == 17);
  CHECK(ParseSize("2k") == 2000);
  CHECK(ParseSize("2KB") == 2048);
  CHECK(ParseSize("3m") == 3'000'000);
  CHECK(ParseSize("3Mb") == 3 * kMiB);
  CHECK(ParseSize("1g") == 1'000'000'000);
  CHECK(ParseSize("1gb") == kGiB);
  CHECK(ParseSize("1t") == 1'000'000'000'000);
  CHECK(ParseSize("1tb") == kTiB);
}

TEST_CASE("what is not a size is refused") {
  for (const std::string_view text : {"", "kb", "-1", "+1", "1 kb", "1.5mb", "12xb", "1kbb", "0x10",
                                      "9223372036854775808", "9223372036854775807kb"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseSize(text).has_value());
  }
}

TEST_CASE("durations have units, and a bare number counts the setting's own") {
  CHECK(ParseDuration("5", 1) == 5);
  CHECK(ParseDuration("5", 1000) == 5000);
  CHECK(ParseDuration("200ms", 1000) == 200);
  CHECK(ParseDuration("2000us", 1) == 2);
  CHECK(ParseDuration("3S", 1) == 3000);
  CHECK(ParseDuration("2min", 1) == 120'000);
  CHECK(ParseDuration("1h", 1) == kHourMs);
  CHECK(ParseDuration("2d", 1) == 2 * kDayMs);
}

TEST_CASE("what is not a whole number of milliseconds is refused") {
  for (const std::string_view text :
       {"", "ms", "-1s", "1500us", "1m", "1.5s", "9223372036854775807h"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseDuration(text, 1).has_value());
  }
}

TEST_CASE("amounts are written in the largest unit that keeps them whole") {
  CHECK(FormatSize(0) == "0");
  CHECK(FormatSize(1) == "1b");
  CHECK(FormatSize(2000) == "2000b");
  CHECK(FormatSize(1536 * kKiB) == "1536kb");
  CHECK(FormatSize(64 * kMiB) == "64mb");
  CHECK(FormatSize(2 * kTiB) == "2tb");
  CHECK(FormatDuration(0) == "0");
  CHECK(FormatDuration(90'000) == "90s");
  CHECK(FormatDuration(120'000) == "2min");
  CHECK(FormatDuration(200) == "200ms");
  CHECK(FormatDuration(kDayMs) == "1d");
}
