#include <fstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "conf/config_commands.h"
#include "conf/server_settings.h"
#include "tests/unit/temporary_directory.h"

#include <doctest/doctest.h>

using namespace warren;

namespace {

// A server's settings with a configuration file; its log goes to a file of its own.
class Server {
 public:
  explicit Server(const std::string& text, std::vector<NameValue> command_line = {})
      : server_(MakeServer(text, std::move(command_line))) {
    REQUIRE(server_.PutInForce().ok());
  }
  ~Server() { (void)UseSettings(Settings()); }

  ServerSettings& operator*() { return server_; }
  ServerSettings* operator->() { return &server_; }
  void WriteFile(const std::string& text) { std::ofstream(path()) << text; }
  std::string path() const { return directory_.path() + "/warren.conf"; }
  std::string Log() const { return *ReadWholeFile(directory_.path() + "/log"); }
  std::string Source(std::string_view name) const { return server_.SourceOf(*FindSetting(name)); }
  bool Logged(const std::string& part) const { return Log().find(part) != std::string::npos; }

 private:
  ServerSettings MakeServer(const std::string& text, std::vector<NameValue> command_line) {
    WriteFile(text);
    command_line.push_back({"log_file", directory_.path() + "/log"});
    auto loaded = ServerSettings::Load(path(), std::move(command_line));
    REQUIRE(loaded.ok());
    return std::move(loaded).value();
  }

  TemporaryDirectory directory_;
  ServerSettings server_;
};

std::vector<NameValue> One(std::string name, std::string value) {
  return {{std::move(name), std::move(value)}};
}

}  // namespace

TEST_CASE("the command line is stronger than the file, the file than the defaults") {
  Server server("port 1\nmaxclients 5\n", One("port", "2"));
  CHECK(GetSettings().port == 2);
  CHECK(GetSettings().max_connections == 5);
  CHECK(GetSettings().databases == 16);
  CHECK(server.Source("port") == "command line");
  CHECK(server.Source("max_connections") == server.path() + ":2");
  CHECK(server.Source("databases") == "default");
  CHECK(ConfigFilePath() == server.path());
}

TEST_CASE("a server whose file has an error does not load") {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() + "/w.conf") << "port x\n";
  const auto loaded = ServerSettings::Load(directory.path() + "/w.conf", {});
  REQUIRE_FALSE(loaded.ok());
  CHECK(loaded.error().message.ends_with(
      "w.conf:1: port: \"x\" is not a number; allowed 0 to 65535"));
  CHECK_FALSE(ServerSettings::Load("", One("port", "x")).ok());
  CHECK(ServerSettings::Load("", {}).ok());
}

TEST_CASE("a log file that cannot be opened fails the start") {
  auto loaded = ServerSettings::Load("", One("logfile", "/nonexistent/log"));
  REQUIRE(loaded.ok());
  CHECK(loaded->PutInForce().error().message ==
        "log file \"/nonexistent/log\": cannot open: No such file or directory");
}

TEST_CASE("the start logs which settings have no effect here") {
  Server server("maxmemory 100mb\nappendonly no\n");
  CHECK(server.Logged(":1: maxmemory is known from Redis and has no effect here"));
  CHECK_FALSE(server.Logged("appendonly"));
}

TEST_CASE("a reload puts the file's new values in force and logs each") {
  Server server("timeout 5\nmax_value_size 2mb\n");
  server.WriteFile("timeout 6\n");
  REQUIRE(server->Reload().ok());
  CHECK(GetSettings().client_idle_timeout_ms == 6000);
  CHECK(GetSettings().max_value_size_bytes == 64u << 20);
  CHECK(server.Logged("setting client_idle_timeout changed, source: " + server.path() + ":1"));
  CHECK(server.Logged("setting max_value_size changed, source: default"));
}

TEST_CASE("a reload of a file with an error changes nothing") {
  Server server("timeout 5\n");
  server.WriteFile("timeout 6\nport x\n");
  const Status status = server->Reload();
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message.find("warren.conf:2: port:") != std::string::npos);
  CHECK(GetSettings().client_idle_timeout_ms == 5000);
  server.WriteFile("timeout 7\n");
  CHECK(server->Reload().ok());
  CHECK(GetSettings().client_idle_timeout_ms == 7000);
}

TEST_CASE("a reload leaves what is fixed at the start and warns") {
  Server server("port 1\n");
  server.WriteFile("port 2\ntimeout 6\n");
  REQUIRE(server->Reload().ok());
  CHECK(GetSettings().port == 1);
  CHECK(GetSettings().client_idle_timeout_ms == 6000);
  CHECK(server.Logged("warning: " + server.path() + ":1: port changes only at the next start"));
}

TEST_CASE("a reload does not override the command line") {
  Server server("", One("timeout", "9"));
  server.WriteFile("timeout 6\n");
  REQUIRE(server->Reload().ok());
  CHECK(GetSettings().client_idle_timeout_ms == 9000);
}

TEST_CASE("CONFIG SET survives a reload unless the file's value is another one than before") {
  Server server("timeout 5\n");
  REQUIRE(server->Set(std::vector<NameValue>{{"timeout", "8"}, {"max_value_size", "3mb"}}).ok());
  CHECK(GetSettings().client_idle_timeout_ms == 8000);
  CHECK(server.Source("timeout") == "CONFIG SET");
  REQUIRE(server->Reload().ok());
  CHECK(GetSettings().client_idle_timeout_ms == 8000);
  server.WriteFile("timeout 6\n");
  REQUIRE(server->Reload().ok());
  CHECK(GetSettings().client_idle_timeout_ms == 6000);
  CHECK(server.Source("timeout") == server.path() + ":1");
  CHECK(GetSettings().max_value_size_bytes == 3u << 20);
  CHECK(server.Source("max_value_size") == "CONFIG SET");
}

TEST_CASE("after CONFIG REWRITE the file is the source again") {
  Server server("timeout 5\n");
  REQUIRE(server->Set(One("timeout", "8")).ok());
  REQUIRE(ConfigRewrite(ConfigFilePath(), GetSettings()).ok());
  REQUIRE(server->Reload().ok());
  CHECK(GetSettings().client_idle_timeout_ms == 8000);
  CHECK(server.Source("timeout") == server.path() + ":1");
}

TEST_CASE("CONFIG SET is all or nothing") {
  Server server("");
  CHECK_FALSE(server->Set(std::vector<NameValue>{{"timeout", "8"}, {"max_value_size", "x"}}).ok());
  CHECK(GetSettings().client_idle_timeout_ms == 0);
  const Status status =
      server->Set(std::vector<NameValue>{{"timeout", "8"}, {"logfile", "/nonexistent/log"}});
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message ==
        "CONFIG SET failed - log file \"/nonexistent/log\": cannot open: No such file or "
        "directory");
  CHECK(GetSettings().client_idle_timeout_ms == 0);
  CHECK(server.Source("timeout") == "default");
}

TEST_CASE("settings that do not fit into shared memory together are refused") {
  Server server("");
  std::vector<NameValue> changes;
  for (const SettingInfo& info : SettingTable()) {
    if (info.type == SettingType::kIgnored && info.allowed.empty()) {
      changes.push_back({std::string(info.name), std::string(1024, 'x')});
    }
  }
  const Status status = server->Set(changes);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message.ends_with("bytes; allowed 20480"));
  CHECK(GetSettings().ignored.empty());
}
