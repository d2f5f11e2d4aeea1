// How does a process tell people what happens?
//
// One line per event, text or JSON, each written by a single write(2) on an O_APPEND descriptor, so
// that lines of different processes never mix. No thread and no lock is involved: a fork or a death
// at any moment leaves nothing behind. Built on spdlog (formatting, levels) with a sink of our own.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/ids.h"
#include "base/result.h"

namespace warren::log {

enum class Level : unsigned char { kDebug, kInfo, kNotice, kWarning, kError };
enum class Format : unsigned char { kText, kJson };

struct Options {
  Level level = Level::kNotice;
  Format format = Format::kText;
  std::string file;  // empty: standard error
};

// Opens the file (appending). On error the former target stays in use.
Status Configure(const Options& options);

// Opens the same file again, as log rotation wants after SIGHUP.
Status Reopen();

// What every line of this process bears: its kind ("postmaster", "backend", ...) and slot (kNoSlot
// for the postmaster). Called after each fork. `kind` is not copied.
void SetProcess(std::string_view kind, SlotIndex slot);

std::string_view LevelName(Level level);  // "debug", "info", "notice", "warning", "error"

bool Enabled(Level level);
void Write(Level level, std::string_view message);

template <typename... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kDebug))
    Write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kInfo)) Write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Notice(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kNotice))
    Write(Level::kNotice, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Warning(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kWarning))
    Write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kError))
    Write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace warren::log
