// Which number or time does an argument stand for, and what is said when it stands for none?
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"

namespace warren {

// An integer in the one form in which it is written: no sign but '-', no leading zero, no blanks.
std::optional<int64_t> ParseInteger(std::string_view text);
Result<int64_t> IntegerArgument(
    std::string_view text);  // "value is not an integer or out of range"

// One that also fits into an int: counts of databases and the like.
Result<int> IntArgument(std::string_view text);

// What strtold reads in full, not a NaN, within range.
std::optional<long double> ParseFloat(std::string_view text);
Result<long double> FloatArgument(std::string_view text);  // "value is not a valid float"

inline constexpr size_t kIntegerTextBytes = 20;  // of INT64_MIN
std::string_view FormatInteger(int64_t value, std::span<char, kIntegerTextBytes> buffer);

// As INCRBYFLOAT stores it: 17 decimals, trailing zeros cut, never an exponent. For finite values.
inline constexpr size_t kFloatTextBytes = 5 * 1024;  // the largest has 4933 digits before the point
std::string_view FormatFloat(long double value, std::span<char, kFloatTextBytes> buffer);

// How a command's time is to be understood.
enum class TimeForm : uint8_t {
  kNone,
  kSecondsFromNow,
  kMillisecondsFromNow,
  kSecondsAt,
  kMillisecondsAt,
};

// The expiry for SET, SETEX, GETEX and the like: must be positive and must not overflow.
// `command` is the name for the error text, as sent.
Result<int64_t> ExpiryArgument(TimeForm form, std::string_view text, int64_t now_ms,
                               std::string_view command);

// The expiry for EXPIRE and the like, which may be past. Only overflow is an error.
Result<int64_t> AnyTimeArgument(TimeForm form, std::string_view text, int64_t now_ms,
                                std::string_view command);

Error SyntaxError();
Error InvalidExpireTime(std::string_view command);
Error WrongArity(std::string_view command);

}  // namespace warren
