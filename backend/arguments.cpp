#include "backend/arguments.h"

#include <cerrno>
#include <charconv>
#include <climits>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "base/ascii.h"

namespace warren {
namespace {

bool InSeconds(TimeForm form) {
  return form == TimeForm::kSecondsFromNow || form == TimeForm::kSecondsAt;
}

bool FromNow(TimeForm form) {
  return form == TimeForm::kSecondsFromNow || form == TimeForm::kMillisecondsFromNow;
}

}  // namespace

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  const char first_digit = text[0] == '-' ? text[1] : text[0];
  if (first_digit == '0' && text.size() > 1) return std::nullopt;
  return value;
}

Result<int64_t> IntegerArgument(std::string_view text) {
  if (auto value = ParseInteger(text)) return *value;
  return MakeError(ErrorCode::kGeneric, "value is not an integer or out of range");
}

Result<int> IntArgument(std::string_view text) {
  ASSIGN_OR_RETURN(const int64_t value, IntegerArgument(text));
  if (value < INT_MIN || value > INT_MAX) {
    return MakeError(ErrorCode::kGeneric, "value is out of range, value must between {} and {}",
                     INT_MIN, INT_MAX);
  }
  return static_cast<int>(value);
}

std::optional<long double> ParseFloat(std::string_view text) {
  // strtold skips blanks before a number and stops at a zero byte; neither is a number here. No
  // allocation: commands come here under a page lock.
  char terminated[kFloatTextBytes];
  if (text.empty() || text.size() >= sizeof(terminated)) return std::nullopt;
  if (std::string_view(" \t\n\v\f\r").find(text[0]) != std::string_view::npos) return std::nullopt;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  char* stop = nullptr;
  errno = 0;
  const long double value = std::strtold(terminated, &stop);
  if (stop != terminated + text.size()) return std::nullopt;
  if (errno == ERANGE && (std::isinf(value) || value == 0)) return std::nullopt;
  if (std::isnan(value)) return std::nullopt;
  return value;
}

Result<long double> FloatArgument(std::string_view text) {
  if (auto value = ParseFloat(text)) return *value;
  return MakeError(ErrorCode::kGeneric, "value is not a valid float");
}

std::string_view FormatInteger(int64_t value, std::span<char, kIntegerTextBytes> buffer) {
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), static_cast<size_t>(end - buffer.data())};
}

std::string_view FormatFloat(long double value, std::span<char, kFloatTextBytes> buffer) {
  const int bytes = std::snprintf(buffer.data(), buffer.size(), "%.17Lf", value);
  std::string_view text(buffer.data(), static_cast<size_t>(bytes));
  text = text.substr(0, text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.remove_suffix(1);
  return text == "-0" ? "0" : text;
}

Result<int64_t> ExpiryArgument(TimeForm form, std::string_view text, int64_t now_ms,
                               std::string_view command) {
  ASSIGN_OR_RETURN(const int64_t value, IntegerArgument(text));
  if (value <= 0) return InvalidExpireTime(command);
  return AnyTimeArgument(form, text, now_ms, command);
}

Result<int64_t> AnyTimeArgument(TimeForm form, std::string_view text, int64_t now_ms,
                                std::string_view command) {
  ASSIGN_OR_RETURN(int64_t value, IntegerArgument(text));
  if (InSeconds(form) && __builtin_mul_overflow(value, 1000, &value)) {
    return InvalidExpireTime(command);
  }
  if (FromNow(form) && __builtin_add_overflow(value, now_ms, &value)) {
    return InvalidExpireTime(command);
  }
  return value;
}

Error SyntaxError() { return MakeError(ErrorCode::kGeneric, "syntax error"); }

Error InvalidExpireTime(std::string_view command) {
  return MakeError(ErrorCode::kGeneric, "invalid expire time in '{}' command", AsciiLower(command));
}

Error WrongArity(std::string_view command) {
  return MakeError(ErrorCode::kGeneric, "wrong number of arguments for '{}' command",
                   AsciiLower(command));
}

}  // namespace warren
