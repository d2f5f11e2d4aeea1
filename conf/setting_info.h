// What is known about each setting: its names, type, range, default and how its text is read?
//
// One descriptor per row of settings_list.def and ignored_settings_list.def, in their order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "conf/settings.h"

namespace warren {

enum class SettingType : uint8_t {
  kBool,
  kInteger,
  kOctal,
  kSize,
  kDuration,
  kEnum,
  kText,
  kList,
  kIgnored,  // known from Redis, without effect
};

enum class SettingChange : uint8_t {
  kStart,    // fixed while the server runs
  kReload,   // in force in every process at once
  kSession,  // in force for connections made from then on
};

struct SettingInfo;

// Any field's value: number, flag or enum constant; text; words.
using SettingValue = std::variant<int64_t, std::string, std::vector<std::string>>;

// A word that an enum setting accepts. The first word of a value is the one that is shown.
struct EnumWord {
  std::string_view word;
  int64_t value;
};

struct SettingInfo {
  std::string_view group;
  std::string_view name;
  SettingType type;
  SettingChange change;
  std::string_view aliases;  // separated by spaces
  std::string_view help;
  int64_t min = 0;  // numbers: the range; texts: of the length in bytes
  int64_t max = 0;
  std::string_view unit;             // of an integer: "connections"
  int64_t bare_ms = 1;               // what a duration without a unit counts
  std::span<const EnumWord> words;   // of an enum
  std::string_view allowed;          // ignored: the only values accepted, separated by '|'
  std::string_view ignored_default;  // ignored: Redis's default
  SettingValue (*get)(const SettingInfo& info, const Settings& settings) = nullptr;
  void (*set)(const SettingInfo& info, Settings& settings, SettingValue value) = nullptr;
};

std::span<const SettingInfo> SettingTable();

// By name or alias, '-' and '_' and letters' case being alike. Null if there is none.
const SettingInfo* FindSetting(std::string_view name);

// Are `a` and `b` the same setting name?
bool SameSettingName(std::string_view a, std::string_view b);

// The aliases of a setting, as written in the table.
std::vector<std::string_view> Aliases(const SettingInfo& info);

// Reads `text` as the value of a setting and puts it into `settings`. A list's text is split into
// words. The error quotes the text and says what is allowed, but not which setting it was.
Status ParseSetting(const SettingInfo& info, std::string_view text, Settings& settings);

// The same for the words behind the name on a configuration line.
Status ParseSetting(const SettingInfo& info, std::span<const std::string> words,
                    Settings& settings);

// The value in force as text that ParseSetting reads: sizes and durations in the largest unit that
// keeps them whole ("64mb", "200ms").
std::string FormatSetting(const SettingInfo& info, const Settings& settings);

// As Redis shows it, for names that clients know from there: bare numbers (bytes, seconds) wherever
// the value is a whole number of them.
std::string FormatSettingBare(const SettingInfo& info, const Settings& settings);

// The value as the rest of a configuration line, quoted where needed.
std::string FormatSettingLine(const SettingInfo& info, const Settings& settings);

// "1mb to 1tb", "off, try, on", "yes, no", "at most 107 bytes": what ParseSetting accepts. Empty if
// it accepts anything.
std::string DescribeAllowed(const SettingInfo& info);

// "start", "reload", "session".
std::string_view ChangeName(SettingChange change);

}  // namespace warren
