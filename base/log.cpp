#include "base/log.h"

#include <fcntl.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/sink.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <memory>

#include "base/per_process.h"
#include "base/unique_fd.h"
#include "base/utf8.h"

namespace warren::log {
namespace {

struct LevelRow {
  std::string_view name;
  spdlog::level::level_enum spdlog_level;
};

// Indexed by Level.
constexpr LevelRow kLevels[] = {
    {"debug", spdlog::level::trace}, {"info", spdlog::level::debug},
    {"notice", spdlog::level::info}, {"warning", spdlog::level::warn},
    {"error", spdlog::level::err},
};

const LevelRow& Row(Level level) { return kLevels[static_cast<size_t>(level)]; }

std::string_view NameOf(spdlog::level::level_enum level) {
  for (const LevelRow& row : kLevels) {
    if (row.spdlog_level == level) return row.name;
  }
  return "error";
}

using Line = fmt::memory_buffer;

// Without gmtime_r, which takes a lock inside the C library.
void AppendTime(Line& line, std::chrono::system_clock::time_point time, bool iso) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(ms);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(ms - day);
  fmt::format_to(std::back_inserter(line), "{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}.{:03}{}",
                 static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                 static_cast<unsigned>(date.day()), iso ? 'T' : ' ', clock.hours().count(),
                 clock.minutes().count(), clock.seconds().count(), clock.subseconds().count(),
                 iso ? "Z" : " UTC");
}

// A message may quote what a client sent: whatever could begin a line of its own is escaped.
void AppendOneLine(Line& line, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      line.append(std::string_view("\\n"));
    } else if ((byte < 0x20 && c != '\t') || byte == 0x7f) {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", byte);
    } else {
      line.push_back(c);
    }
  }
}

// JSON text must be UTF-8: bytes that are not become U+FFFD.
void AppendJsonString(Line& line, std::string_view text) {
  line.push_back('"');
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text.front());
    const size_t length = Utf8SequenceBytes(text);
    if (byte == '"' || byte == '\\') {
      line.push_back('\\');
      line.push_back(text.front());
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(line), "\\u{:04x}", byte);
    } else if (length == 0) {
      line.append(std::string_view("\\ufffd"));
    } else {
      line.append(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  line.push_back('"');
}

// Whose log this is.
struct ProcessName {
  std::string_view kind;
  SlotIndex slot = kNoSlot;
};
WARREN_PER_PROCESS constinit ProcessName g_process;

// Turns each message into one line and hands it to one write(2).
class LineSink final : public spdlog::sinks::sink {
 public:
  void log(const spdlog::details::log_msg& msg) override {
    Line line;
    if (format_ == Format::kJson) {
      MakeJson(line, msg);
    } else {
      MakeText(line, msg);
    }
    line.push_back('\n');
    const int fd = file_.valid() ? file_.get() : STDERR_FILENO;
    // A line is written whole or, when the disk is full, lost: there is nobody left to tell.
    while (write(fd, line.data(), line.size()) < 0 && errno == EINTR) {
    }
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  void SetTarget(UniqueFd file, Format format) {
    file_ = std::move(file);
    format_ = format;
  }
  void SetFile(UniqueFd file) { file_ = std::move(file); }

 private:
  void MakeText(Line& line, const spdlog::details::log_msg& msg) const {
    AppendTime(line, msg.time, false);
    fmt::format_to(std::back_inserter(line), " [{}] ", getpid());
    if (!g_process.kind.empty()) line.append(g_process.kind);
    if (g_process.slot != kNoSlot) fmt::format_to(std::back_inserter(line), " {}", g_process.slot);
    if (!g_process.kind.empty() || g_process.slot != kNoSlot) line.push_back(' ');
    fmt::format_to(std::back_inserter(line), "{}: ", NameOf(msg.level));
    AppendOneLine(line, {msg.payload.data(), msg.payload.size()});
  }

  void MakeJson(Line& line, const spdlog::details::log_msg& msg) const {
    line.append(std::string_view("{\"time\":\""));
    AppendTime(line, msg.time, true);
    fmt::format_to(std::back_inserter(line), "\",\"level\":\"{}\",\"kind\":", NameOf(msg.level));
    AppendJsonString(line, g_process.kind);
    fmt::format_to(std::back_inserter(line), ",\"pid\":{}", getpid());
    if (g_process.slot != kNoSlot)
      fmt::format_to(std::back_inserter(line), ",\"slot\":{}", g_process.slot);
    line.append(std::string_view(",\"message\":"));
    AppendJsonString(line, {msg.payload.data(), msg.payload.size()});
    line.push_back('}');
  }

  UniqueFd file_;  // none: standard error
  Format format_ = Format::kText;
};

struct State {
  std::shared_ptr<LineSink> sink = std::make_shared<LineSink>();
  spdlog::logger logger{"", sink};
  std::string file;

  State() { logger.set_level(Row(Level::kNotice).spdlog_level); }
};

// Never destroyed: a process may log until its last instruction.
State& GetState() {
  static State* const state = new State;
  return *state;
}

Result<UniqueFd> OpenLog(const std::string& file) {
  if (file.empty()) return UniqueFd();
  UniqueFd fd(open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  if (!fd.valid()) {
    return MakeError(ErrorCode::kIo, "log file \"{}\": cannot open: {}", file,
                     std::strerror(errno));
  }
  return fd;
}

}  // namespace

Status Configure(const Options& options) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenLog(options.file));
  State& state = GetState();
  state.sink->SetTarget(std::move(fd), options.format);
  state.logger.set_level(Row(options.level).spdlog_level);
  state.file = options.file;
  return {};
}

Status Reopen() {
  State& state = GetState();
  ASSIGN_OR_RETURN(UniqueFd fd, OpenLog(state.file));
  state.sink->SetFile(std::move(fd));
  return {};
}

void SetProcess(std::string_view kind, SlotIndex slot) { g_process = {kind, slot}; }

std::string_view LevelName(Level level) { return Row(level).name; }

bool Enabled(Level level) { return GetState().logger.should_log(Row(level).spdlog_level); }

void Write(Level level, std::string_view message) {
  GetState().logger.log(Row(level).spdlog_level,
                        spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace warren::log
