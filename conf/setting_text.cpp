// How a setting's value is read from text and written as text.
#include <iterator>
#include <optional>
#include <utility>

#include "base/ascii.h"
#include "conf/setting_info.h"
#include "conf/tokenizer.h"
#include "conf/units.h"

namespace warren {
namespace {

constexpr EnumWord kBoolWords[] = {{"yes", 1}, {"no", 0},   {"on", 1},
                                   {"off", 0}, {"true", 1}, {"false", 0}};

std::optional<int64_t> FindWord(std::span<const EnumWord> words, std::string_view text) {
  for (const EnumWord& word : words) {
    if (EqualsIgnoreCase(word.word, text)) return word.value;
  }
  return std::nullopt;
}

std::string_view WordOf(std::span<const EnumWord> words, int64_t value) {
  for (const EnumWord& word : words) {
    if (word.value == value) return word.word;
  }
  return "?";
}

std::optional<int64_t> ParseOctal(std::string_view text) {
  if (text.empty() || text.size() > 6) return std::nullopt;
  int64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return std::nullopt;
    number = number * 8 + (c - '0');
  }
  return number;
}

// What a text of the wrong form is not.
std::string_view KindName(SettingType type) {
  switch (type) {
    case SettingType::kInteger:
      return "a number";
    case SettingType::kOctal:
      return "an octal number";
    case SettingType::kSize:
      return "a size";
    case SettingType::kDuration:
      return "a duration";
    default:
      return "known";
  }
}

std::optional<int64_t> ParseNumeric(const SettingInfo& info, std::string_view text) {
  switch (info.type) {
    case SettingType::kBool:
      return FindWord(kBoolWords, text);
    case SettingType::kInteger:
      return ParseNumber(text);
    case SettingType::kOctal:
      return ParseOctal(text);
    case SettingType::kSize:
      return ParseSize(text);
    case SettingType::kDuration:
      return ParseDuration(text, info.bare_ms);
    default:
      return FindWord(info.words, text);
  }
}

bool HasRange(SettingType type) {
  return type == SettingType::kInteger || type == SettingType::kOctal ||
         type == SettingType::kSize || type == SettingType::kDuration;
}

std::string FormatNumeric(const SettingInfo& info, int64_t value) {
  switch (info.type) {
    case SettingType::kBool:
      return value != 0 ? "yes" : "no";
    case SettingType::kOctal:
      return fmt::format("{:o}", value);
    case SettingType::kSize:
      return FormatSize(value);
    case SettingType::kDuration:
      return FormatDuration(value);
    case SettingType::kEnum:
      return std::string(WordOf(info.words, value));
    default:
      return fmt::format("{}", value);
  }
}

Status ParseNumericInto(const SettingInfo& info, std::string_view text, Settings& settings) {
  const auto value = ParseNumeric(info, text);
  if (!value) {
    return MakeError(ErrorCode::kGeneric, "\"{}\" is not {}; allowed {}", text, KindName(info.type),
                     DescribeAllowed(info));
  }
  if (HasRange(info.type) && (*value < info.min || *value > info.max)) {
    return MakeError(ErrorCode::kGeneric, "\"{}\" is out of range; allowed {}", text,
                     DescribeAllowed(info));
  }
  info.set(info, settings, *value);
  return {};
}

Status CheckAllowed(const SettingInfo& info, std::string_view text) {
  if (info.allowed.empty() || text == info.ignored_default) return {};
  std::string_view rest = info.allowed;
  while (!rest.empty()) {
    const size_t end = rest.find('|');
    if (EqualsIgnoreCase(rest.substr(0, end), text)) return {};
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return MakeError(ErrorCode::kGeneric, "\"{}\" is not supported; allowed {}", text,
                   DescribeAllowed(info));
}

Status ParseTextInto(const SettingInfo& info, std::string_view text, Settings& settings) {
  if (text.find('\0') != std::string_view::npos) {
    return MakeError(ErrorCode::kGeneric, "a zero byte is not allowed");
  }
  const auto bytes = static_cast<int64_t>(text.size());
  if (bytes < info.min || bytes > info.max) {
    return MakeError(ErrorCode::kGeneric, "\"{}\" is too {}; allowed {}", text,
                     bytes < info.min ? "short" : "long", DescribeAllowed(info));
  }
  RETURN_IF_ERROR(CheckAllowed(info, text));
  info.set(info, settings, std::string(text));
  return {};
}

std::string JoinWithBlanks(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) {
    if (&word != words.data()) text += ' ';
    text += word;
  }
  return text;
}

// "off, try, on"; words that are only read are left out.
std::string ListWords(const SettingInfo& info) {
  std::string text;
  for (const EnumWord& word : info.words) {
    if (WordOf(info.words, word.value) != word.word) continue;
    fmt::format_to(std::back_inserter(text), "{}{}", text.empty() ? "" : ", ", word.word);
  }
  return text;
}

std::string DescribeLength(const SettingInfo& info) {
  if (info.min > 0) return fmt::format("{} to {} bytes", info.min, info.max);
  return fmt::format("at most {} bytes", info.max);
}

std::string DescribeIgnored(const SettingInfo& info) {
  std::string text(info.allowed);
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos;) text.replace(at, 1, ", ");
  return text.empty() ? DescribeLength(info) : text;
}

}  // namespace

Status ParseSetting(const SettingInfo& info, std::string_view text, Settings& settings) {
  switch (info.type) {
    case SettingType::kText:
    case SettingType::kIgnored:
      return ParseTextInto(info, text, settings);
    case SettingType::kList: {
      ASSIGN_OR_RETURN(const auto words, SplitWords(text));
      return ParseSetting(info, words, settings);
    }
    default:
      return ParseNumericInto(info, text, settings);
  }
}

Status ParseSetting(const SettingInfo& info, std::span<const std::string> words,
                    Settings& settings) {
  if (words.empty()) return MakeError(ErrorCode::kGeneric, "value missing");
  if (info.type == SettingType::kIgnored) {
    return ParseTextInto(info, JoinWithBlanks(words), settings);
  }
  if (info.type == SettingType::kList) {
    info.set(info, settings, std::vector<std::string>(words.begin(), words.end()));
    return {};
  }
  if (words.size() > 1) {
    return MakeError(ErrorCode::kGeneric, "one value expected, {} given", words.size());
  }
  return ParseSetting(info, words[0], settings);
}

std::string FormatSetting(const SettingInfo& info, const Settings& settings) {
  const SettingValue value = info.get(info, settings);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* words = std::get_if<std::vector<std::string>>(&value)) {
    return JoinWithBlanks(*words);
  }
  return FormatNumeric(info, std::get<int64_t>(value));
}

std::string FormatSettingBare(const SettingInfo& info, const Settings& settings) {
  const SettingValue value = info.get(info, settings);
  const auto* number = std::get_if<int64_t>(&value);
  if (info.type == SettingType::kSize) return fmt::format("{}", *number);
  if (info.type == SettingType::kDuration && *number % info.bare_ms == 0) {
    return fmt::format("{}", *number / info.bare_ms);
  }
  return FormatSetting(info, settings);
}

std::string FormatSettingLine(const SettingInfo& info, const Settings& settings) {
  const SettingValue value = info.get(info, settings);
  if (const auto* words = std::get_if<std::vector<std::string>>(&value)) return JoinWords(*words);
  return QuoteWord(FormatSetting(info, settings));
}

std::string DescribeAllowed(const SettingInfo& info) {
  switch (info.type) {
    case SettingType::kBool:
      return "yes, no";
    case SettingType::kEnum:
      return ListWords(info);
    case SettingType::kText:
      return DescribeLength(info);
    case SettingType::kList:
      return "";
    case SettingType::kIgnored:
      return DescribeIgnored(info);
    default:
      return fmt::format("{} to {}", FormatNumeric(info, info.min), FormatNumeric(info, info.max));
  }
}

}  // namespace warren
