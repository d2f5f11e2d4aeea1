// What do the unit tests of transactions and batches share?
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "storage/store.h"
#include "tests/support/command_world.h"

namespace warren::test {

inline bool Is(const std::string& reply, std::string_view prefix) {
  return reply.starts_with(prefix);
}

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
