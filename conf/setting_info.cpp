#include "conf/setting_info.h"

#include <array>
#include <utility>

#include "base/ascii.h"
#include "base/check.h"
#include "conf/tokenizer.h"
#include "conf/units.h"

namespace warren {
namespace {

// Names of the enums' constants, per type; a further word of the same value is only read.
constexpr EnumWord kWaitPolicyWords[] = {{"adaptive", static_cast<int64_t>(WaitPolicy::kAdaptive)},
                                         {"block", static_cast<int64_t>(WaitPolicy::kBlock)},
                                         {"spin", static_cast<int64_t>(WaitPolicy::kSpin)},
                                         {"yield", static_cast<int64_t>(WaitPolicy::kYield)}};
constexpr EnumWord kHugePagesWords[] = {{"off", static_cast<int64_t>(HugePages::kOff)},
                                        {"try", static_cast<int64_t>(HugePages::kTry)},
                                        {"on", static_cast<int64_t>(HugePages::kOn)}};
constexpr EnumWord kCrashContainmentWords[] = {
    {"auto", static_cast<int64_t>(CrashContainment::kAuto)},
    {"trusting", static_cast<int64_t>(CrashContainment::kTrusting)},
    {"strict", static_cast<int64_t>(CrashContainment::kStrict)}};
constexpr EnumWord kLogLevelWords[] = {{"debug", static_cast<int64_t>(log::Level::kDebug)},
                                       {"info", static_cast<int64_t>(log::Level::kInfo)},
                                       {"verbose", static_cast<int64_t>(log::Level::kInfo)},
                                       {"notice", static_cast<int64_t>(log::Level::kNotice)},
                                       {"warning", static_cast<int64_t>(log::Level::kWarning)},
                                       {"error", static_cast<int64_t>(log::Level::kError)}};
constexpr EnumWord kLogFormatWords[] = {{"text", static_cast<int64_t>(log::Format::kText)},
                                        {"json", static_cast<int64_t>(log::Format::kJson)}};

template <typename E>
constexpr std::span<const EnumWord> kWordsOf;
template <>
constexpr std::span<const EnumWord> kWordsOf<WaitPolicy> = kWaitPolicyWords;
template <>
constexpr std::span<const EnumWord> kWordsOf<HugePages> = kHugePagesWords;
template <>
constexpr std::span<const EnumWord> kWordsOf<CrashContainment> = kCrashContainmentWords;
template <>
constexpr std::span<const EnumWord> kWordsOf<log::Level> = kLogLevelWords;
template <>
constexpr std::span<const EnumWord> kWordsOf<log::Format> = kLogFormatWords;

template <auto kField>
SettingValue GetField(const SettingInfo&, const Settings& settings) {
  using T = std::remove_cvref_t<decltype(settings.*kField)>;
  if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    return static_cast<int64_t>(settings.*kField);
  } else {
    return settings.*kField;
  }
}

template <auto kField>
void SetField(const SettingInfo&, Settings& settings, SettingValue value) {
  using T = std::remove_cvref_t<decltype(settings.*kField)>;
  if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    settings.*kField = static_cast<T>(std::get<int64_t>(value));
  } else {
    settings.*kField = std::get<T>(std::move(value));
  }
}

SettingValue GetIgnored(const SettingInfo& info, const Settings& settings) {
  const auto found = settings.ignored.find(info.name);
  return found == settings.ignored.end() ? std::string(info.ignored_default) : found->second;
}

void SetIgnored(const SettingInfo& info, Settings& settings, SettingValue value) {
  std::string& text = std::get<std::string>(value);
  if (text == info.ignored_default) {
    settings.ignored.erase(std::string(info.name));
  } else {
    settings.ignored[std::string(info.name)] = std::move(text);
  }
}

constexpr int64_t kMaxIgnoredBytes = 1024;

using enum SettingChange;

#define WARREN_COMMON(group_, name_, type_, change_, aliases_, help_)             \
  .group = group_, .name = #name_, .type = SettingType::type_, .change = change_, \
  .aliases = aliases_, .help = help_
#define WARREN_FIELD(field) .get = GetField<&Settings::field>, .set = SetField<&Settings::field>
#define WARREN_BOOL(group, name, value, change, aliases, help) \
  SettingInfo{WARREN_COMMON(group, name, kBool, change, aliases, help), WARREN_FIELD(name)},
#define WARREN_INTEGER(group, name, value, min_, max_, unit_, change, aliases, help)    \
  SettingInfo{WARREN_COMMON(group, name, kInteger, change, aliases, help), .min = min_, \
              .max = max_, .unit = unit_, WARREN_FIELD(name)},
#define WARREN_OCTAL(group, name, value, max_, change, aliases, help)                 \
  SettingInfo{WARREN_COMMON(group, name, kOctal, change, aliases, help), .max = max_, \
              WARREN_FIELD(name)},
#define WARREN_SIZE(group, name, value, min_, max_, change, aliases, help)                        \
  SettingInfo{WARREN_COMMON(group, name, kSize, change, aliases, help), .min = min_, .max = max_, \
              WARREN_FIELD(name##_bytes)},
#define WARREN_DURATION(group, name, value, min_, max_, bare, change, aliases, help)     \
  SettingInfo{WARREN_COMMON(group, name, kDuration, change, aliases, help), .min = min_, \
              .max = max_, .bare_ms = bare, WARREN_FIELD(name##_ms)},
#define WARREN_ENUM(group, name, enum_type, value, change, aliases, help) \
  SettingInfo{WARREN_COMMON(group, name, kEnum, change, aliases, help),   \
              .words = kWordsOf<enum_type>, WARREN_FIELD(name)},
#define WARREN_TEXT(group, name, value, min_, max_, change, aliases, help)                        \
  SettingInfo{WARREN_COMMON(group, name, kText, change, aliases, help), .min = min_, .max = max_, \
              WARREN_FIELD(name)},
#define WARREN_LIST(group, name, value, change, aliases, help) \
  SettingInfo{WARREN_COMMON(group, name, kList, change, aliases, help), WARREN_FIELD(name)},
#define WARREN_IGNORED(name_, value, allowed_, aliases_) \
  SettingInfo{.group = "ignored",                        \
              .name = name_,                             \
              .type = SettingType::kIgnored,             \
              .change = kReload,                         \
              .aliases = aliases_,                       \
              .max = kMaxIgnoredBytes,                   \
              .allowed = allowed_,                       \
              .ignored_default = value,                  \
              .get = GetIgnored,                         \
              .set = SetIgnored},

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
constexpr auto kSettingTable = std::to_array<SettingInfo>({
#include "conf/settings_list.def"

#include "conf/ignored_settings_list.def"
});
#pragma GCC diagnostic pop

#undef WARREN_COMMON
#undef WARREN_FIELD

// The next part of a list such as "a|b|c"; cuts it off.
constexpr std::string_view CutPart(std::string_view& list, char separator) {
  const size_t end = list.find(separator);
  const std::string_view part = list.substr(0, end);
  list = end == std::string_view::npos ? std::string_view() : list.substr(end + 1);
  return part;
}

constexpr char FoldNameByte(char c) { return c == '-' ? '_' : AsciiLower(c); }

constexpr bool SameName(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (FoldNameByte(a[i]) != FoldNameByte(b[i])) return false;
  }
  return true;
}

constexpr bool IsNamed(const SettingInfo& info, std::string_view name) {
  if (SameName(info.name, name)) return true;
  for (std::string_view rest = info.aliases; !rest.empty();) {
    if (SameName(CutPart(rest, ' '), name)) return true;
  }
  return false;
}

// How many settings go by `name`?
constexpr int CountNamed(std::string_view name) {
  int count = 0;
  for (const SettingInfo& info : kSettingTable) count += IsNamed(info, name) ? 1 : 0;
  return count;
}

constexpr bool IsNamedOnce(const SettingInfo& info) {
  if (CountNamed(info.name) != 1) return false;
  for (std::string_view rest = info.aliases; !rest.empty();) {
    if (CountNamed(CutPart(rest, ' ')) != 1) return false;
  }
  return true;
}

// Row by row: compilers bound the steps of one evaluation.
template <size_t kRow>
constexpr bool kIsNamedOnce = IsNamedOnce(kSettingTable[kRow]);
template <size_t... kRows>
constexpr bool NamesAreUnique(std::index_sequence<kRows...>) {
  return (kIsNamedOnce<kRows> && ...);
}
static_assert(NamesAreUnique(std::make_index_sequence<kSettingTable.size()>()),
              "a name or alias stands for two settings");

}  // namespace

std::span<const SettingInfo> SettingTable() { return kSettingTable; }

const SettingInfo* FindSetting(std::string_view name) {
  for (const SettingInfo& info : kSettingTable) {
    if (IsNamed(info, name)) return &info;
  }
  return nullptr;
}

bool SameSettingName(std::string_view a, std::string_view b) { return SameName(a, b); }

std::vector<std::string_view> Aliases(const SettingInfo& info) {
  std::vector<std::string_view> aliases;
  for (std::string_view rest = info.aliases; !rest.empty();) {
    aliases.push_back(CutPart(rest, ' '));
  }
  return aliases;
}

std::string_view ChangeName(SettingChange change) {
  constexpr std::string_view kNames[] = {"start", "reload", "session"};
  return kNames[static_cast<size_t>(change)];
}

}  // namespace warren
