#include "conf/settings.h"

#include <algorithm>
#include <sstream>
#include <utility>

namespace warren {
namespace {

// Never destroyed: a process may read settings until its last instruction.
Settings& Current() {
  static Settings* const settings = new Settings;
  return *settings;
}

log::Options LogOptions(const Settings& settings) {
  return {settings.log_level, settings.log_format, settings.log_file};
}

bool SameLog(const Settings& a, const Settings& b) {
  return a.log_level == b.log_level && a.log_format == b.log_format && a.log_file == b.log_file;
}

}  // namespace

std::vector<std::string> DefaultList(const char* words) {
  std::istringstream text(words);
  std::vector<std::string> list;
  for (std::string word; text >> word;) list.push_back(word);
  return list;
}

const Settings& GetSettings() { return Current(); }

Status UseSettings(Settings settings) {
  if (!SameLog(settings, Current())) RETURN_IF_ERROR(log::Configure(LogOptions(settings)));
  Current() = std::move(settings);
  return {};
}

uint32_t ConnectionsReservedForUnixSocket(const Settings& settings) {
  if (settings.unix_socket.empty()) return 0;
  return std::min(settings.reserved_connections, settings.max_connections - 1);
}

}  // namespace warren
