// Where do the postmaster's settings come from, and what do a reload and a CONFIG SET do to them?
//
// Defaults, then the configuration file, then the command line, each overriding the one before;
// then what CONFIG SET changed. A reload reads the file again: a setting whose value there is
// another one than at the last reading takes it, any other keeps what it has, so that a reload made
// only to open the logs again takes no CONFIG SET back. Settings that are fixed at the start keep
// their value and a warning says so.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "conf/config_file.h"
#include "conf/setting_info.h"
#include "conf/settings.h"

namespace warren {

// The configuration file of this server, absolute; empty if it runs without one. Set in the
// postmaster by ServerSettings::PutInForce, inherited by its children.
const std::string& ConfigFilePath();

class ServerSettings {
 public:
  // Reads the file (if the name is not empty) and the arguments; puts nothing in force yet.
  static Result<ServerSettings> Load(const std::string& file, std::vector<NameValue> command_line);

  const Settings& settings() const { return settings_; }

  // "default", "warren.conf:12", "command line" or "CONFIG SET".
  std::string SourceOf(const SettingInfo& info) const;

  // At the start: in this process from now on, the log included. Logs which settings of the file
  // have no effect here.
  Status PutInForce();

  // SIGHUP. On an error (of the file, of opening the log) nothing changes. Each change is logged.
  Status Reload();

  // CONFIG SET: all or none.
  Status Set(std::span<const NameValue> changes);

  // Answers the request that waits in the shared area, if there is one; returns whose latch to set.
  std::optional<Owner> ServeRequest();

 private:
  Status Read(LoadedSettings& loaded) const;
  Status Replace(Settings settings);
  void KeepWhatReloadMustNotChange(LoadedSettings& next);
  bool ReloadKeeps(const SettingInfo& info, const LoadedSettings& next) const;
  void LogChanges(const Settings& former) const;

  std::string file_;
  std::vector<NameValue> command_line_;
  LoadedSettings base_;               // of file and command line, at the last reading
  std::set<const SettingInfo*> set_;  // those whose value is CONFIG SET's
  Settings settings_;                 // in force
};

}  // namespace warren
