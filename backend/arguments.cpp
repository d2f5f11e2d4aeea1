#include "backend/arguments.h"

#include <charconv>
#include <climits>
#include <cmath>
#include <cstdio>
#include <cstdlib>
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
  // strtold skips blanks before a number and stops at a zero byte; neither is a number here.
  constexpr size_t kMaxFloatTextBytes = 5 * 1024;
  if (text.empty() || text.size() >= kMaxFloatTextBytes) return std::nullopt;
  if (std::string_view(" \t\n\v\f\r").find(text[0]) != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  char* stop = nullptr;
  errno = 0;
  const long double value = std::strtold(terminated.c_str(), &stop);
  if (stop != terminated.c_str() + terminated.size()) return std::nullopt;
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

std::string FormatFloat(long double value) {
  const int bytes = std::snprintf(nullptr, 0, "%.17Lf", value);
  std::string text(static_cast<size_t>(bytes) + 1, '\0');
  std::snprintf(text.data(), text.size(), "%.17Lf", value);
  text.pop_back();
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
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
