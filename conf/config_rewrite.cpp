// CONFIG REWRITE: a configuration file brought up to date, with everything a person wrote in it
// left where it was.
#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <vector>

#include "base/file.h"
#include "conf/config_commands.h"
#include "conf/setting_info.h"
#include "conf/tokenizer.h"

namespace warren {
namespace {

constexpr std::string_view kHeader = "# Written by CONFIG REWRITE";

std::vector<std::string> SplitLines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::string JoinLines(std::span<const std::string> lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

struct SettingLine {
  const SettingInfo* info;
  std::string name;  // as the line spells it
  std::vector<std::string> values;
};

// The setting on this line, if it has one.
std::optional<SettingLine> ReadLine(const std::string& line) {
  const auto words = SplitWords(line);
  if (!words.ok() || words->empty() || words.value()[0].starts_with('#')) return std::nullopt;
  const std::string& name = words.value()[0];
  const SettingInfo* info = FindSetting(name);
  if (info == nullptr) return std::nullopt;
  return SettingLine{info, name, {words.value().begin() + 1, words.value().end()}};
}

bool SameValue(const SettingInfo& info, const Settings& a, const Settings& b) {
  return info.get(info, a) == info.get(info, b);
}

// Changes the last line of each setting where its value is another one now. Earlier lines of the
// same setting never counted and stay.
void ChangeInPlace(std::vector<std::string>& lines, const Settings& settings) {
  std::set<const SettingInfo*> done;
  for (size_t i = lines.size(); i-- > 0;) {
    const auto line = ReadLine(lines[i]);
    if (!line || !done.insert(line->info).second) continue;
    Settings parsed;
    const bool valid = ParseSetting(*line->info, line->values, parsed).ok();
    if (valid && SameValue(*line->info, parsed, settings)) continue;
    lines[i] = line->name + " " + FormatSettingLine(*line->info, settings);
  }
}

// Appends a line for each setting that the file with its includes does not give its value.
void AppendMissing(std::vector<std::string>& lines, const Settings& loaded,
                   const Settings& settings) {
  bool has_header = std::find(lines.begin(), lines.end(), kHeader) != lines.end();
  for (const SettingInfo& info : SettingTable()) {
    if (SameValue(info, loaded, settings)) continue;
    if (!has_header) {
      if (!lines.empty() && !lines.back().empty()) lines.emplace_back();
      lines.emplace_back(kHeader);
      has_header = true;
    }
    lines.push_back(fmt::format("{} {}", info.name, FormatSettingLine(info, settings)));
  }
}

Status Rewrite(const std::string& path, const Settings& settings) {
  ASSIGN_OR_RETURN(const std::string old_text, ReadWholeFile(path));
  std::vector<std::string> lines = SplitLines(old_text);
  ChangeInPlace(lines, settings);
  LoadedSettings loaded;
  RETURN_IF_ERROR(LoadConfigText(JoinLines(lines), path, loaded));
  AppendMissing(lines, loaded.settings, settings);
  const std::string text = JoinLines(lines);
  if (text == old_text) return {};
  // The file itself, not a symbolic link to it, is what gets replaced.
  std::error_code error;
  const std::string target = std::filesystem::canonical(path, error).string();
  RemoveLeftoversOf(error ? path : target);
  return WriteFileAtomically(error ? path : target, text);
}

}  // namespace

Status ConfigRewrite(const std::string& path, const Settings& settings) {
  if (path.empty()) {
    return MakeError(ErrorCode::kGeneric, "The server is running without a config file");
  }
  if (const Status status = Rewrite(path, settings); !status.ok()) {
    return MakeError(status.error().code, "Rewriting config file: {}", status.error().message);
  }
  return {};
}

}  // namespace warren
