// Which settings are in force in this process?
//
// Each process has its own copy, so that reading a setting is reading a field. The postmaster alone
// changes settings and publishes them (server_settings.h, shared_settings.h); every other process
// calls RenewSettings() at its safe points, and only there can a value change under its hands.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"

namespace warren {

inline constexpr int64_t kSecondMs = 1000;
inline constexpr int64_t kMinuteMs = 60 * kSecondMs;
inline constexpr int64_t kHourMs = 60 * kMinuteMs;
inline constexpr int64_t kDayMs = 24 * kHourMs;
inline constexpr int64_t kKiB = 1024;
inline constexpr int64_t kMiB = 1024 * kKiB;
inline constexpr int64_t kGiB = 1024 * kMiB;
inline constexpr int64_t kTiB = 1024 * kGiB;

enum class WaitPolicy : uint8_t { kAdaptive, kBlock, kSpin, kYield };
enum class HugePages : uint8_t { kOff, kTry, kOn };
enum class CrashContainment : uint8_t { kAuto, kTrusting, kStrict };

// The words of a list setting's default.
std::vector<std::string> DefaultList(const char* words);

// One field per row of settings_list.def, at first with its default: `shared_buffers_bytes`,
// `bgwriter_delay_ms`, `port`.
struct Settings {
#define WARREN_BOOL(group, name, value, ...) bool name = value;
#define WARREN_INTEGER(group, name, value, ...) uint32_t name = value;
#define WARREN_OCTAL(group, name, value, ...) uint32_t name = value;
#define WARREN_SIZE(group, name, value, ...) uint64_t name##_bytes = value;
#define WARREN_DURATION(group, name, value, ...) int64_t name##_ms = value;
#define WARREN_ENUM(group, name, type, value, ...) type name = type::value;
#define WARREN_TEXT(group, name, value, ...) std::string name = value;
#define WARREN_LIST(group, name, value, ...) std::vector<std::string> name = DefaultList(value);
#include "conf/settings_list.def"

  // Values of settings without effect (ignored_settings_list.def) that are not at their default, by
  // name.
  std::map<std::string, std::string, std::less<>> ignored;

  friend bool operator==(const Settings&, const Settings&) = default;
};

// The settings in force in this process: at first the defaults. The reference stays valid; texts
// within change when UseSettings or RenewSettings is called.
const Settings& GetSettings();

// Puts `settings` in force in this process, the log's settings included. Fails, nothing changed, if
// the log file cannot be opened.
Status UseSettings(Settings settings);

// How many of max_connections only the Unix socket's clients may take: reserved_connections, but
// none without a Unix socket, and never all.
uint32_t ConnectionsReservedForUnixSocket(const Settings& settings);

}  // namespace warren
