// What do the unit tests of transactions and batches share?
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "conf/settings.h"
#include "storage/store.h"
#include "tests/support/command_world.h"

namespace warren::test {

inline constexpr const char* kOk = "+OK\r\n";
inline constexpr const char* kNull = "$-1\r\n";

inline std::string Keys(std::initializer_list<std::string> keys) {
  std::string reply = "*" + std::to_string(keys.size()) + "\r\n";
  for (const std::string& key : keys) reply += Bulk(key);
  return reply;
}

inline bool Is(const std::string& reply, std::string_view prefix) {
  return reply.starts_with(prefix);
}

// Puts settings in force for the life of the object.
class WithSettings {
 public:
  explicit WithSettings(const Settings& settings) : former_(GetSettings()) { Use(settings); }
  ~WithSettings() { Use(former_); }

 private:
  static void Use(const Settings& settings) { REQUIRE(UseSettings(settings).ok()); }
  Settings former_;
};

// What the store has, past the transaction that is open.
inline std::string Stored(uint32_t database, std::string_view key) {
  std::string value = "(none)";
  REQUIRE(Store::Read(
              database, key, WallClockMs(), NeedValue::kYes,
              [&](const Current& current, uint64_t) {
                if (current.exists) value = current.value;
              },
              LockLook::kHolder)
              .ok());
  return value;
}

}  // namespace warren::test
