#include "conf/config_commands.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "base/glob.h"
#include "conf/setting_info.h"

namespace warren {
namespace {

// Settings' names use '_', Redis's use '-', and a pattern may use either; within [] a '-' is a
// range.
std::string FoldPattern(std::string_view pattern) {
  std::string folded(pattern);
  bool in_set = false;
  for (char& c : folded) {
    if (c == '[') in_set = true;
    if (c == ']') in_set = false;
    if (c == '-' && !in_set) c = '_';
  }
  return folded;
}

std::string FoldName(std::string_view name) {
  std::string folded = AsciiLower(name);
  std::replace(folded.begin(), folded.end(), '-', '_');
  return folded;
}

class Getter {
 public:
  explicit Getter(const Settings& settings) : settings_(settings) {}

  void AddNamed(std::string_view name) {
    const SettingInfo* info = FindSetting(name);
    if (info == nullptr) return;
    bool bare = !SameSettingName(info->name, name);
    // "tcp-keepalive" is Redis's spelling of a name that differs from ours in nothing else.
    for (const std::string_view alias : Aliases(*info))
      bare = bare || EqualsIgnoreCase(alias, name);
    Add(AsciiLower(name), *info, bare);
  }

  void AddMatching(std::string_view pattern) {
    const std::string folded = FoldPattern(pattern);
    for (const SettingInfo& info : SettingTable()) {
      if (Matches(folded, info.name)) Add(std::string(info.name), info, false);
      for (const std::string_view alias : Aliases(info)) {
        if (Matches(folded, alias)) Add(std::string(alias), info, true);
      }
    }
  }

  std::vector<NameValue> Take() { return std::move(found_); }

 private:
  static bool Matches(const std::string& folded, std::string_view name) {
    return GlobMatch(folded, FoldName(name), GlobCase::kIgnore);
  }

  void Add(std::string name, const SettingInfo& info, bool bare) {
    for (const NameValue& entry : found_) {
      if (entry.name == name) return;
    }
    found_.push_back({std::move(name),
                      bare ? FormatSettingBare(info, settings_) : FormatSetting(info, settings_)});
  }

  const Settings& settings_;
  std::vector<NameValue> found_;
};

Error ConfigSetError(std::string_view name, std::string_view reason) {
  return MakeError(ErrorCode::kGeneric,
                   "CONFIG SET failed (possibly related to argument '{}') - {}", name, reason);
}

}  // namespace

std::vector<NameValue> ConfigGet(std::span<const std::string_view> patterns,
                                 const Settings& settings) {
  Getter getter(settings);
  for (const std::string_view pattern : patterns) {
    if (pattern.find_first_of("*?[\\") == std::string_view::npos) {
      getter.AddNamed(pattern);
    } else {
      getter.AddMatching(pattern);
    }
  }
  return getter.Take();
}

Result<Settings> ApplyConfigSet(std::span<const NameValue> changes, Settings settings) {
  std::vector<const SettingInfo*> seen;
  for (const NameValue& change : changes) {
    const SettingInfo* info = FindSetting(change.name);
    if (info == nullptr) {
      return MakeError(ErrorCode::kGeneric,
                       "Unknown option or number of arguments for CONFIG SET - '{}'", change.name);
    }
    if (std::find(seen.begin(), seen.end(), info) != seen.end()) {
      return ConfigSetError(change.name, "duplicate parameter");
    }
    seen.push_back(info);
    if (info->change == SettingChange::kStart) {
      return ConfigSetError(change.name, "can't set immutable config");
    }
    const Status status = ParseSetting(*info, change.value, settings);
    if (!status.ok()) return ConfigSetError(change.name, status.error().message);
  }
  return settings;
}

}  // namespace warren
