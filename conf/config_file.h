// What do the configuration file and the command line say?
//
// A line is a name and its value in the words of tokenizer.h; `#` begins a comment line; `include
// FILE` reads another file in its place, relative to the including one. Of several lines for one
// setting the last counts. Errors: `warren.conf:12: shared_buffers: "12xb" is not a size; allowed
// 1mb to 1tb`.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "conf/setting_info.h"
#include "conf/settings.h"

namespace warren {

struct NameValue {
  std::string name;
  std::string value;
  friend bool operator==(const NameValue&, const NameValue&) = default;
};

// Settings and where each one that is not a default came from: "warren.conf:12", "command line".
struct LoadedSettings {
  Settings settings;
  std::map<const SettingInfo*, std::string> sources;
};

// Each adds to what is loaded already. After an error `loaded` holds what came before the error.
Status LoadConfigFile(const std::string& path, LoadedSettings& loaded);
Status LoadConfigText(std::string_view text, const std::string& path, LoadedSettings& loaded);
Status LoadCommandLine(std::span<const NameValue> arguments, LoadedSettings& loaded);

}  // namespace warren
