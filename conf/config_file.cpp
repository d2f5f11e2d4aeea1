#include "conf/config_file.h"

#include <filesystem>
#include <system_error>
#include <vector>

#include "base/ascii.h"
#include "base/file.h"
#include "conf/tokenizer.h"

namespace warren {
namespace {

// A chain longer than this is a mistake that the cycle check cannot see, such as a generated file.
constexpr size_t kMaxIncludeDepth = 16;

Error Located(std::string_view where, const Error& error) {
  return Error{error.code, fmt::format("{}: {}", where, error.message)};
}

class Loader {
 public:
  explicit Loader(LoadedSettings& loaded) : loaded_(loaded) {}

  Status LoadFile(const std::string& path) {
    std::error_code unresolved;
    const std::string identity = std::filesystem::weakly_canonical(path, unresolved).string();
    for (const std::string& open : open_files_) {
      if (open == identity) {
        return MakeError(ErrorCode::kGeneric, "file \"{}\" includes itself", path);
      }
    }
    if (open_files_.size() >= kMaxIncludeDepth) {
      return MakeError(ErrorCode::kGeneric, "more than {} files include one another",
                       kMaxIncludeDepth);
    }
    ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
    open_files_.push_back(identity);
    RETURN_IF_ERROR(LoadText(text, path));
    open_files_.pop_back();
    return {};
  }

  Status LoadText(std::string_view text, const std::string& path) {
    for (int number = 1; !text.empty(); ++number) {
      const size_t end = text.find('\n');
      const std::string where = fmt::format("{}:{}", path, number);
      if (const Status status = LoadLine(text.substr(0, end), path, where); !status.ok()) {
        return Located(where, status.error());
      }
      if (end == std::string_view::npos) break;
      text.remove_prefix(end + 1);
    }
    return {};
  }

 private:
  Status LoadLine(std::string_view line, const std::string& path, const std::string& where) {
    const size_t start = line.find_first_not_of(" \t\r");
    if (start == std::string_view::npos || line[start] == '#') return {};
    ASSIGN_OR_RETURN(const auto words, SplitWords(line));
    if (words.empty()) return {};
    const auto values = std::span(words).subspan(1);
    if (EqualsIgnoreCase(words[0], "include")) return Include(values, path);
    const SettingInfo* info = FindSetting(words[0]);
    if (info == nullptr) {
      return MakeError(ErrorCode::kGeneric, "unknown setting \"{}\"", words[0]);
    }
    const Status status = ParseSetting(*info, values, loaded_.settings);
    if (!status.ok()) return Located(words[0], status.error());
    loaded_.sources[info] = where;
    return {};
  }

  Status Include(std::span<const std::string> values, const std::string& path) {
    if (values.size() != 1) {
      return MakeError(ErrorCode::kGeneric, "include: one file expected, {} given", values.size());
    }
    const auto included = std::filesystem::path(path).parent_path() / values[0];
    const Status status = LoadFile(included.string());
    if (!status.ok()) return Located("include", status.error());
    return {};
  }

  LoadedSettings& loaded_;
  std::vector<std::string> open_files_;  // from the outermost inwards, resolved
};

}  // namespace

Status LoadConfigFile(const std::string& path, LoadedSettings& loaded) {
  return Loader(loaded).LoadFile(path);
}

Status LoadConfigText(std::string_view text, const std::string& path, LoadedSettings& loaded) {
  return Loader(loaded).LoadText(text, path);
}

Status LoadCommandLine(std::span<const NameValue> arguments, LoadedSettings& loaded) {
  for (const NameValue& argument : arguments) {
    const SettingInfo* info = FindSetting(argument.name);
    if (info == nullptr) {
      return MakeError(ErrorCode::kGeneric, "command line: unknown setting \"{}\"", argument.name);
    }
    const Status status = ParseSetting(*info, argument.value, loaded.settings);
    if (!status.ok()) {
      return Located(fmt::format("command line: {}", argument.name), status.error());
    }
    loaded.sources[info] = "command line";
  }
  return {};
}

}  // namespace warren
