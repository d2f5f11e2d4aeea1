#include "conf/server_settings.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "conf/config_commands.h"
#include "conf/shared_settings.h"

namespace warren {
namespace {

std::string& MutableConfigFilePath() {
  static std::string* const path = new std::string;
  return *path;
}

bool SameValue(const SettingInfo& info, const Settings& a, const Settings& b) {
  return info.get(info, a) == info.get(info, b);
}

}  // namespace

const std::string& ConfigFilePath() { return MutableConfigFilePath(); }

Result<ServerSettings> ServerSettings::Load(const std::string& file,
                                            std::vector<NameValue> command_line) {
  ServerSettings server;
  server.file_ = file;
  server.command_line_ = std::move(command_line);
  RETURN_IF_ERROR(server.Read(server.base_));
  RETURN_IF_ERROR(CheckPublishable(server.base_.settings));
  server.settings_ = server.base_.settings;
  return server;
}

Status ServerSettings::Read(LoadedSettings& loaded) const {
  if (!file_.empty()) RETURN_IF_ERROR(LoadConfigFile(file_, loaded));
  return LoadCommandLine(command_line_, loaded);
}

std::string ServerSettings::SourceOf(const SettingInfo& info) const {
  if (set_.contains(&info)) return "CONFIG SET";
  const auto source = base_.sources.find(&info);
  return source == base_.sources.end() ? "default" : source->second;
}

Status ServerSettings::PutInForce() {
  RETURN_IF_ERROR(UseSettings(settings_));
  if (!file_.empty()) {
    std::error_code error;
    const auto absolute = std::filesystem::absolute(file_, error);
    // Later processes may have another working directory.
    file_ = error ? file_ : absolute.lexically_normal().string();
  }
  MutableConfigFilePath() = file_;
  for (const auto& [info, source] : base_.sources) {
    if (!settings_.ignored.contains(info->name)) continue;
    log::Notice("{}: {} is known from Redis and has no effect here", source, info->name);
  }
  return {};
}

Status ServerSettings::Reload() {
  LoadedSettings next;
  RETURN_IF_ERROR(Read(next));
  LoadedSettings read = next;
  KeepWhatReloadMustNotChange(next);
  const Settings former = settings_;
  RETURN_IF_ERROR(Replace(std::move(next.settings)));
  std::erase_if(set_, [&](const SettingInfo* info) { return !ReloadKeeps(*info, read); });
  base_ = std::move(read);
  LogChanges(former);
  return {};
}

bool ServerSettings::ReloadKeeps(const SettingInfo& info, const LoadedSettings& next) const {
  if (info.change == SettingChange::kStart) return true;
  return set_.contains(&info) && SameValue(info, base_.settings, next.settings);
}

void ServerSettings::KeepWhatReloadMustNotChange(LoadedSettings& next) {
  for (const SettingInfo& info : SettingTable()) {
    if (!ReloadKeeps(info, next) || SameValue(info, next.settings, settings_)) continue;
    if (info.change == SettingChange::kStart) {
      const auto source = next.sources.find(&info);
      log::Warning("{}: {} changes only at the next start",
                   source == next.sources.end() ? "default" : source->second, info.name);
    }
    info.set(info, next.settings, info.get(info, settings_));
  }
}

void ServerSettings::LogChanges(const Settings& former) const {
  for (const SettingInfo& info : SettingTable()) {
    if (SameValue(info, former, settings_)) continue;
    log::Notice("setting {} changed, source: {}", info.name, SourceOf(info));
  }
}

Status ServerSettings::Set(std::span<const NameValue> changes) {
  ASSIGN_OR_RETURN(Settings next, ApplyConfigSet(changes, settings_));
  const Settings former = settings_;
  if (const Status status = Replace(std::move(next)); !status.ok()) {
    return MakeError(status.error().code, "CONFIG SET failed - {}", status.error().message);
  }
  for (const NameValue& change : changes) set_.insert(FindSetting(change.name));
  LogChanges(former);
  return {};
}

// In force here, then everywhere: a process that has renewed never finds the postmaster behind.
Status ServerSettings::Replace(Settings settings) {
  RETURN_IF_ERROR(CheckPublishable(settings));
  RETURN_IF_ERROR(UseSettings(settings));
  settings_ = std::move(settings);
  PublishSettings(settings_);
  return {};
}

std::optional<Owner> ServerSettings::ServeRequest() {
  const auto request = FetchSettingsRequest();
  if (!request) return std::nullopt;
  AnswerSettingsRequest(request->number, Set(request->changes));
  return request->requester;
}

}  // namespace warren
