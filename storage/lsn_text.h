// How is a log position written for people?
//
// As a hexadecimal number with 0x, everywhere: log lines, replies, messages, options.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/ids.h"

namespace warren {

inline std::string FormatLsn(Lsn lsn) { return fmt::format("{:#x}", lsn); }

// Nothing if `text` is anything else.
inline std::optional<Lsn> ParseLsn(std::string_view text) {
  if (!text.starts_with("0x") && !text.starts_with("0X")) return std::nullopt;
  text.remove_prefix(2);
  Lsn lsn = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), lsn, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return lsn;
}

}  // namespace warren
