// Which modes can a lock be held in, and which of them go together?
//
//   mode   IS  IX  S   X      IS: reads keys of the database, IX: writes some,
//   IS     +   +   +   -      S: nobody else may write the key (database: any key of it),
//   IX     +   +   -   -      X: nobody else may lock it at all
//   S      +   -   +   -
//   X      -   -   -   -      + : two owners may hold these at once
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace warren {

enum class TxLockMode : uint8_t { kNone, kIS, kIX, kS, kX };

inline constexpr size_t kTxLockModes = 5;

// The table above; kNone goes with everything.
inline constexpr std::array<std::array<bool, kTxLockModes>, kTxLockModes> kLockConflicts = {{
    // none   IS     IX     S      X
    {false, false, false, false, false},
    {false, false, false, false, true},
    {false, false, false, true, true},
    {false, false, true, false, true},
    {false, true, true, true, true},
}};

constexpr bool Conflicts(TxLockMode a, TxLockMode b) {
  return kLockConflicts[static_cast<size_t>(a)][static_cast<size_t>(b)];
}

// The weakest mode that allows what both allow: IX and S make X.
constexpr TxLockMode Union(TxLockMode a, TxLockMode b) {
  const TxLockMode stronger = a > b ? a : b;
  const TxLockMode weaker = a > b ? b : a;
  return stronger == TxLockMode::kS && weaker == TxLockMode::kIX ? TxLockMode::kX : stronger;
}

// Does `held` allow all that `wanted` allows?
constexpr bool Covers(TxLockMode held, TxLockMode wanted) { return Union(held, wanted) == held; }

constexpr std::string_view TxLockModeName(TxLockMode mode) {
  constexpr std::array<std::string_view, kTxLockModes> kNames = {"", "IS", "IX", "S", "X"};
  return kNames[static_cast<size_t>(mode)];
}

}  // namespace warren
