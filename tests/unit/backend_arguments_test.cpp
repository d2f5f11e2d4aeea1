#include "backend/arguments.h"

#include <doctest/doctest.h>

#include <climits>
#include <limits>
#include <string>

#include "backend/set_options.h"

namespace warren {
namespace {

constexpr int64_t kNow = 1'700'000'000'000;

Result<SetOptions> Options(std::initializer_list<std::string_view> words, SetOptionsOf command) {
  return ParseSetOptions(Args(words.begin(), words.size()), command);
}

}  // namespace

TEST_CASE("an integer argument has one form only") {
  CHECK(ParseInteger("0") == 0);
  CHECK(ParseInteger("-1") == -1);
  CHECK(ParseInteger("9223372036854775807") == INT64_MAX);
  CHECK(ParseInteger("-9223372036854775808") == INT64_MIN);
  for (const char* text : {"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "0x1", "abc",
                           "9223372036854775808", "-9223372036854775809"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseInteger(text));
    CHECK(IntegerArgument(text).error().message == "value is not an integer or out of range");
  }
  CHECK_FALSE(ParseInteger(std::string_view("1\0", 2)));
}

TEST_CASE("an int argument says which range it has") {
  CHECK(*IntArgument("2147483647") == INT_MAX);
  CHECK(IntArgument("2147483648").error().message ==
        "value is out of range, value must between -2147483648 and 2147483647");
}

TEST_CASE("an integer is written in the form in which it is read") {
  char buffer[kIntegerTextBytes];
  for (int64_t value : {int64_t{0}, int64_t{-7}, INT64_MAX, INT64_MIN}) {
    CHECK(ParseInteger(FormatInteger(value, buffer)) == value);
  }
}

TEST_CASE("a float argument is what strtold reads in full") {
  CHECK(ParseFloat("3.5") == 3.5L);
  CHECK(ParseFloat("-1e3") == -1000.0L);
  CHECK(ParseFloat("0x10") == 16.0L);
  for (const char* text : {"", " 1", "1 ", "x", "1x", "nan", "1e5000", "1e-5000"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseFloat(text));
  }
  CHECK_FALSE(ParseFloat(std::string_view("1\0", 2)));
  CHECK_FALSE(ParseFloat(std::string(6000, '1')));
}

TEST_CASE("a float is written without exponent and without trailing zeros") {
  char buffer[kFloatTextBytes];
  CHECK(FormatFloat(3.0L, buffer) == "3");
  CHECK(FormatFloat(10.5L, buffer) == "10.5");
  CHECK(FormatFloat(-0.0L, buffer) == "0");
  CHECK(FormatFloat(0.1L, buffer) == "0.1");
  CHECK(FormatFloat(5e20L, buffer) == "500000000000000000000");
  CHECK(FormatFloat(1e300L, buffer).size() == 301);
  CHECK(FormatFloat(std::numeric_limits<long double>::lowest(), buffer).size() == 4934);
}

TEST_CASE("an expiry must be positive and must not overflow") {
  CHECK(*ExpiryArgument(TimeForm::kSecondsFromNow, "10", kNow, "SET") == kNow + 10'000);
  CHECK(*ExpiryArgument(TimeForm::kMillisecondsFromNow, "10", kNow, "SET") == kNow + 10);
  CHECK(*ExpiryArgument(TimeForm::kSecondsAt, "10", kNow, "SET") == 10'000);
  CHECK(*ExpiryArgument(TimeForm::kMillisecondsAt, "10", kNow, "SET") == 10);
  for (const char* text : {"0", "-1", "9223372036854775807"}) {
    CAPTURE(text);
    CHECK(ExpiryArgument(TimeForm::kSecondsFromNow, text, kNow, "SetEx").error().message ==
          "invalid expire time in 'setex' command");
  }
  CHECK_FALSE(
      ExpiryArgument(TimeForm::kMillisecondsFromNow, "9223372036854775807", kNow, "x").ok());
  CHECK(ExpiryArgument(TimeForm::kMillisecondsAt, "9223372036854775807", kNow, "x").ok());
}

TEST_CASE("a time for EXPIRE may be past") {
  CHECK(*AnyTimeArgument(TimeForm::kSecondsFromNow, "-1", kNow, "EXPIRE") == kNow - 1000);
  CHECK(*AnyTimeArgument(TimeForm::kMillisecondsAt, "-1", kNow, "EXPIRE") == -1);
  CHECK_FALSE(AnyTimeArgument(TimeForm::kSecondsAt, "-9223372036854775808", kNow, "EXPIRE").ok());
}

TEST_CASE("options of SET that exclude each other are a syntax error") {
  constexpr auto kSet = SetOptionsOf::kSet;
  CHECK(Options({}, kSet)->time_form == TimeForm::kNone);
  CHECK(Options({"nx", "GET", "ex", "10"}, kSet)->time == "10");
  CHECK(Options({"PX", "1", "PX", "2"}, kSet)->time == "2");
  CHECK(Options({"KEEPTTL", "XX"}, kSet)->keep_ttl);
  for (auto words :
       std::initializer_list<std::initializer_list<std::string_view>>{{"NX", "XX"},
                                                                      {"XX", "NX"},
                                                                      {"EX"},
                                                                      {"EX", "1", "PX", "1"},
                                                                      {"KEEPTTL", "EX", "1"},
                                                                      {"EX", "1", "KEEPTTL"},
                                                                      {"PERSIST"},
                                                                      {"10"}}) {
    CHECK(Options(words, kSet).error().message == "syntax error");
  }
}

TEST_CASE("GETEX knows times and PERSIST only") {
  constexpr auto kGetEx = SetOptionsOf::kGetEx;
  CHECK(Options({"PERSIST"}, kGetEx)->persist);
  CHECK(Options({"PXAT", "5"}, kGetEx)->time_form == TimeForm::kMillisecondsAt);
  for (const char* word : {"NX", "XX", "GET", "KEEPTTL"}) CHECK_FALSE(Options({word}, kGetEx).ok());
  CHECK_FALSE(Options({"PERSIST", "EX", "1"}, kGetEx).ok());
  CHECK_FALSE(Options({"EX", "1", "PERSIST"}, kGetEx).ok());
}

}  // namespace warren
