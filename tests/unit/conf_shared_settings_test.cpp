#include <sched.h>
#include <sys/wait.h>

#include <csignal>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "conf/server_settings.h"
#include "conf/setting_info.h"
#include "conf/shared_settings.h"
#include "tests/support/shared_region.h"

#include <doctest/doctest.h>

using namespace warren;

namespace {

// The area in memory shared with children, and the postmaster's settings over it.
class World {
 public:
  World() : server_(std::move(ServerSettings::Load("", {{"log_level", "error"}})).value()) {
    BindSharedSettings(region_.AllocateBytes(kSharedSettingsBytes));
    REQUIRE(server_.PutInForce().ok());
    PublishSettings(server_.settings());
  }
  ~World() {
    for (const pid_t child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    BindSharedSettings(nullptr);
    (void)UseSettings(Settings());
  }

  ServerSettings& server() { return server_; }

  // A backend: exits 0 if `body` is true.
  template <typename Body>
  pid_t Fork(Body body) {
    const pid_t child = fork();
    if (child == 0) _exit(body() ? 0 : 1);
    children_.push_back(child);
    return child;
  }

  // Serves requests as the postmaster does until `child` has ended; its wait status.
  int ServeUntilEnd(pid_t child) {
    const int64_t deadline = MonotonicNs() + 20'000'000'000;
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
      if (MonotonicNs() > deadline) return -1;
      last_served_ = server_.ServeRequest().value_or(last_served_);
      sched_yield();
    }
    std::erase(children_, child);
    return status;
  }
  Owner last_served() const { return last_served_; }

 private:
  test::SharedRegion region_{kSharedSettingsBytes};
  ServerSettings server_;
  std::vector<pid_t> children_;
  Owner last_served_;
};

constexpr auto NoWake = [] {};
constexpr auto WaitABit = [] { return sched_yield() == 0; };
constexpr auto GiveUp = [] { return false; };

Status Set(std::vector<NameValue> changes, SlotIndex slot = 3) {
  return ConfigSet(changes, Owner{slot, 9}, NoWake, WaitABit);
}

}  // namespace

TEST_CASE("without an area there is nothing to renew") {
  CHECK_FALSE(RenewSettings());
  PublishSettings(Settings());
  CHECK_FALSE(FetchSettingsRequest().has_value());
}

TEST_CASE("what the postmaster publishes is in force elsewhere after a renewal, and only then") {
  World world;
  CHECK_FALSE(RenewSettings());
  const pid_t child = world.Fork([&] {
    if (GetSettings().client_idle_timeout_ms != 0) return false;
    while (!RenewSettings()) sched_yield();
    const Settings& settings = GetSettings();
    return settings.client_idle_timeout_ms == 7000 && settings.requirepass == "a \"b\" \n\xff" &&
           settings.ignored.at("save") == "900 1" && settings.port == 7432 && !RenewSettings();
  });
  REQUIRE(world.server()
              .Set(std::vector<NameValue>{
                  {"timeout", "7"}, {"requirepass", "a \"b\" \n\xff"}, {"save", "900 1"}})
              .ok());
  CHECK(world.ServeUntilEnd(child) == 0);
}

TEST_CASE("CONFIG SET in one process is in force in the postmaster and there when it returns") {
  World world;
  const pid_t child = world.Fork([&] {
    return Set({{"timeout", "7"}, {"max_value_size", "1mb"}}).ok() &&
           GetSettings().client_idle_timeout_ms == 7000;
  });
  CHECK(world.ServeUntilEnd(child) == 0);
  CHECK(GetSettings().client_idle_timeout_ms == 7000);
  CHECK(world.server().settings().max_value_size_bytes == 1u << 20);
  CHECK(world.last_served() == Owner{3, 9});
}

TEST_CASE("the postmaster's refusal reaches the client with its reason") {
  World world;
  const pid_t child = world.Fork([&] {
    const Status status = Set({{"logfile", "/nonexistent/log"}});
    return !status.ok() && status.error().code == ErrorCode::kIo &&
           status.error().message ==
               "CONFIG SET failed - log file \"/nonexistent/log\": cannot open: No such file or "
               "directory";
  });
  CHECK(world.ServeUntilEnd(child) == 0);
}

TEST_CASE("what cannot be set never reaches the postmaster") {
  World world;
  CHECK(ConfigSet(std::vector<NameValue>{{"port", "1"}}, Owner{}, NoWake, GiveUp)
            .error()
            .message.ends_with("can't set immutable config"));
  CHECK(ConfigSet(std::vector<NameValue>{{"save", std::string(1024, 'x')}}, Owner{}, NoWake, GiveUp)
            .error()
            .code == ErrorCode::kShutdown);
  std::vector<NameValue> many;
  for (const SettingInfo& info : SettingTable()) {
    if (info.type == SettingType::kIgnored && info.allowed.empty()) {
      many.push_back({std::string(info.name), std::string(1024, 'x')});
    }
  }
  CHECK(ConfigSet(many, Owner{}, NoWake, GiveUp).error().message.ends_with("allowed 16384"));
}

TEST_CASE("a requester that gives up or dies leaves nothing hanging for the next one") {
  World world;
  CHECK(ConfigSet(std::vector<NameValue>{{"timeout", "5"}}, Owner{1, 1}, NoWake, GiveUp)
            .error()
            .code == ErrorCode::kShutdown);
  const pid_t dead = world.Fork([&] {
    (void)ConfigSet(std::vector<NameValue>{{"timeout", "6"}}, Owner{2, 1}, NoWake,
                    [] { return raise(SIGKILL) == 0; });
    return false;
  });
  int status = 0;
  REQUIRE(waitpid(dead, &status, 0) == dead);
  REQUIRE(WIFSIGNALED(status));
  const pid_t child = world.Fork([&] {
    const Status bad = Set({{"logfile", "/nonexistent/log"}});
    return !bad.ok() && Set({{"timeout", "7"}}).ok() &&
           GetSettings().client_idle_timeout_ms == 7000;
  });
  CHECK(world.ServeUntilEnd(child) == 0);
  CHECK(GetSettings().client_idle_timeout_ms == 7000);
}

TEST_CASE("an answer to a dead one's request is not taken for the next one's") {
  World world;
  CHECK_FALSE(
      ConfigSet(std::vector<NameValue>{{"timeout", "5"}}, Owner{1, 1}, NoWake, GiveUp).ok());
  const auto old_request = FetchSettingsRequest();
  REQUIRE(old_request.has_value());
  const pid_t child = world.Fork([&] {
    return Set({{"timeout", "7"}}).ok() && GetSettings().client_idle_timeout_ms == 7000;
  });
  const int64_t deadline = MonotonicNs() + 20'000'000'000;
  while (FetchSettingsRequest().value_or(*old_request).number == old_request->number &&
         MonotonicNs() < deadline) {
    sched_yield();
  }
  AnswerSettingsRequest(old_request->number, MakeError(ErrorCode::kGeneric, "late"));
  CHECK(world.ServeUntilEnd(child) == 0);
}

TEST_CASE("readers never see a mixture of two publications") {
  World world;
  std::vector<pid_t> readers;
  for (int i = 0; i < 3; ++i) {
    readers.push_back(world.Fork([&] {
      uint32_t seen = 0;
      while (GetSettings().bgwriter_max_pages != 3000) {
        if (!RenewSettings()) continue;
        const Settings& settings = GetSettings();
        const std::string expected(400, static_cast<char>('a' + settings.bgwriter_max_pages % 26));
        if (settings.bgwriter_max_pages < seen || settings.requirepass != expected) return false;
        seen = settings.bgwriter_max_pages;
      }
      return true;
    }));
  }
  Settings settings = world.server().settings();
  for (uint32_t i = 1; i <= 3000; ++i) {
    settings.bgwriter_max_pages = i;
    settings.requirepass.assign(400, static_cast<char>('a' + i % 26));
    PublishSettings(settings);
  }
  for (const pid_t reader : readers) CHECK(world.ServeUntilEnd(reader) == 0);
}
