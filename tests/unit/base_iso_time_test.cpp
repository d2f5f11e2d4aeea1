// Moments as text.
#include "base/iso_time.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>

namespace warren {
namespace {

int64_t Parse(std::string_view text) {
  const auto time_us = ParseTime(text);
  REQUIRE_MESSAGE(time_us.ok(), text);
  return *time_us;
}

}  // namespace

TEST_CASE("a moment that was written is read back") {
  for (const int64_t time_us : {int64_t{0}, int64_t{1}, int64_t{1'927'080'306'789'012}}) {
    CHECK(Parse(FormatUtc(time_us)) == time_us);
  }
  CHECK(FormatUtc(951'782'400'000'000) == "2000-02-29T00:00:00.000000Z");
}

TEST_CASE("a moment may have a fraction, an offset, or be seconds since 1970") {
  CHECK(Parse("2000-02-29 00:00:00Z") == 951'782'400'000'000);
  CHECK(Parse("2000-02-29 01:30:00.5+01:30") == 951'782'400'500'000);
  CHECK(Parse("2000-02-28 22:00:00-02:00") == 951'782'400'000'000);
  CHECK(Parse("951782400") == 951'782'400'000'000);
  CHECK(Parse("951782400.25") == 951'782'400'250'000);
}

TEST_CASE("a moment without an offset is one of this machine's time zone") {
  setenv("TZ", "XYZ-3", 1);  // three hours east
  tzset();
  CHECK(Parse("2000-02-29 03:00:00") == 951'782'400'000'000);
  unsetenv("TZ");
  tzset();
}

TEST_CASE("what is no moment is refused") {
  for (const std::string_view text :
       {"", "yesterday", "2000-02-29", "2000-02-29 00:00", "2000-02-29 00:00:00X",
        "2000-02-29 00:00:00+1", "1.2.3", "2000-02-29 00:00:00 Z", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseTime(text).ok());
  }
}

}  // namespace warren
