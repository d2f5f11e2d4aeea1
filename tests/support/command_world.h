// How does a unit test run commands in its own process, without a server?
#pragma once

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/command.h"
#include "backend/session.h"
#include "conf/settings.h"
#include "storage/data_directory.h"
#include "storage/data_file.h"
#include "storage/store.h"
#include "tests/support/segment_world.h"
#include "tests/unit/temporary_directory.h"

namespace warren::test {

// A new, empty store in a segment of its own, and a session on it.
class CommandWorld {
 public:
  explicit CommandWorld(uint32_t buffer_count = 512) : segment_(Config(buffer_count)) {
    // The store takes what a slot that is not running left unfinished for garbage.
    (void)Segment::Procs().GiveOut(0, ProcessKind::kBackend);
    ProcArray::EnterRunning();
    Require(DataDirectory::Init(directory_.path() + "/data", Segment::Config().database_count));
    Require(DataDirectory::Open(directory_.path() + "/data", Segment::Config().database_count));
    Require(DataDirectory::Recover());
    session_.set_authenticated(true);
  }
  ~CommandWorld() {
    const Status status = Store::Check();
    CHECK_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message));
    DataFile::Get().Close();
  }

  // The raw reply.
  template <typename... Words>
  std::string operator()(const Words&... words) {
    return Run({std::string_view(words)...});
  }
  std::string Run(const std::vector<std::string_view>& words) {
    session_.BeginBatch();
    session_.Execute(words);
    return std::exchange(session_.output(), {});
  }
  Session& session() { return session_; }

 private:
  static SegmentConfig Config(uint32_t buffer_count) {
    SegmentConfig config = SmallSegment(buffer_count);
    config.command_count = static_cast<uint32_t>(CommandTable().size());
    return config;
  }
  static void Require(const Status& status) {
    REQUIRE_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message));
  }

  TemporaryDirectory directory_;
  SegmentWorld segment_;
  Session session_{-1};
};

inline std::string Bulk(std::string_view bytes) {
  return "$" + std::to_string(bytes.size()) + "\r\n" + std::string(bytes) + "\r\n";
}
inline std::string Integer(long long value) { return ":" + std::to_string(value) + "\r\n"; }
inline std::string Keys(std::initializer_list<std::string> keys) {
  std::string reply = "*" + std::to_string(keys.size()) + "\r\n";
  for (const std::string& key : keys) reply += Bulk(key);
  return reply;
}
inline constexpr const char* kOk = "+OK\r\n";
inline constexpr const char* kNull = "$-1\r\n";

// Puts settings in force for the life of the object.
class WithSettings {
 public:
  explicit WithSettings(const Settings& settings) : former_(GetSettings()) { Use(settings); }
  ~WithSettings() { Use(former_); }

 private:
  static void Use(const Settings& settings) { REQUIRE(UseSettings(settings).ok()); }
  Settings former_;
};

}  // namespace warren::test
