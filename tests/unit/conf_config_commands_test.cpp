#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "conf/config_commands.h"
#include "conf/setting_info.h"
#include "tests/unit/temporary_directory.h"

#include <doctest/doctest.h>

using namespace warren;

namespace {

std::vector<NameValue> Get(std::vector<std::string_view> patterns,
                           const Settings& settings = Settings()) {
  return ConfigGet(patterns, settings);
}

bool Contains(const std::vector<NameValue>& found, const NameValue& entry) {
  return std::find(found.begin(), found.end(), entry) != found.end();
}

std::string SetError(std::vector<NameValue> changes) {
  const auto result = ApplyConfigSet(changes, Settings());
  return result.ok() ? "" : result.error().message;
}

// A configuration file with `text`, rewritten for `settings`.
std::string Rewritten(const std::string& text, const Settings& settings) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/warren.conf";
  std::ofstream(path) << text;
  const Status status = ConfigRewrite(path, settings);
  REQUIRE(status.ok());
  // Whatever the text was, the file now says what is in force.
  LoadedSettings loaded;
  REQUIRE(LoadConfigFile(path, loaded).ok());
  CHECK(loaded.settings == settings);
  return *ReadWholeFile(path);
}

}  // namespace

TEST_CASE("CONFIG GET of a name gives it as asked, in Redis's form under Redis's name") {
  Settings settings;
  settings.client_idle_timeout_ms = 60'000;
  CHECK(Get({"client_idle_timeout"}, settings) ==
        std::vector<NameValue>{{"client_idle_timeout", "1min"}});
  CHECK(Get({"Timeout"}, settings) == std::vector<NameValue>{{"timeout", "60"}});
  CHECK(Get({"tcp_keepalive"}) == std::vector<NameValue>{{"tcp_keepalive", "5min"}});
  CHECK(Get({"tcp-keepalive"}) == std::vector<NameValue>{{"tcp-keepalive", "300"}});
  CHECK(Get({"proto-max-bulk-len"}) == std::vector<NameValue>{{"proto-max-bulk-len", "67108864"}});
  CHECK(Get({"max-value-size"}) == std::vector<NameValue>{{"max-value-size", "64mb"}});
  CHECK(Get({"bind"}) == std::vector<NameValue>{{"bind", "127.0.0.1 -::1"}});
  CHECK(Get({"nothing"}).empty());
}

TEST_CASE("CONFIG GET of a pattern gives every matching name and alias once") {
  const auto max = Get({"max*", "MAX_C*", "maxclients"});
  CHECK(Contains(max, {"max_connections", "1000"}));
  CHECK(Contains(max, {"maxclients", "1000"}));
  CHECK(Contains(max, {"maxmemory", "0"}));
  CHECK(std::count(max.begin(), max.end(), NameValue{"maxclients", "1000"}) == 1);
  const auto tcp = Get({"tcp-*"});
  CHECK(Contains(tcp, {"tcp_keepalive", "5min"}));
  CHECK(Contains(tcp, {"tcp-keepalive", "300"}));
  CHECK(Get({"por[a-t]"}) == std::vector<NameValue>{{"port", "7432"}});
  CHECK(Get({"*"}).size() > SettingTable().size());
}

TEST_CASE("CONFIG GET gives back what was set for a setting without effect") {
  const auto settings =
      ApplyConfigSet(std::vector<NameValue>{{"save", ""}, {"hash-max-ziplist-value", "99"}}, {});
  REQUIRE(settings.ok());
  CHECK(Get({"save"}, *settings) == std::vector<NameValue>{{"save", ""}});
  CHECK(Get({"hash-max-listpack-value"}, *settings) ==
        std::vector<NameValue>{{"hash-max-listpack-value", "99"}});
  CHECK(Get({"appendonly"}, *settings) == std::vector<NameValue>{{"appendonly", "no"}});
}

TEST_CASE("CONFIG SET changes all that it names") {
  const auto settings = ApplyConfigSet(
      std::vector<NameValue>{{"timeout", "60"}, {"max_value_size", "1mb"}, {"loglevel", "debug"}},
      {});
  REQUIRE(settings.ok());
  CHECK(settings->client_idle_timeout_ms == 60'000);
  CHECK(settings->max_value_size_bytes == 1024 * 1024);
  CHECK(settings->log_level == log::Level::kDebug);
}

TEST_CASE("CONFIG SET refuses with Redis's words what cannot be set") {
  CHECK(SetError({{"foo", "1"}}) == "Unknown option or number of arguments for CONFIG SET - 'foo'");
  CHECK(SetError({{"port", "1"}}) ==
        "CONFIG SET failed (possibly related to argument 'port') - can't set immutable config");
  CHECK(SetError({{"timeout", "1"}, {"client-idle-timeout", "2"}}) ==
        "CONFIG SET failed (possibly related to argument 'client-idle-timeout') - duplicate "
        "parameter");
  CHECK(SetError({{"loglevel", "debug"}, {"max_value_size", "1xb"}}) ==
        "CONFIG SET failed (possibly related to argument 'max_value_size') - \"1xb\" is not a "
        "size; allowed 1kb to 512mb");
  CHECK(SetError({{"daemonize", "yes"}}) ==
        "CONFIG SET failed (possibly related to argument 'daemonize') - \"yes\" is not supported; "
        "allowed no");
}

TEST_CASE("CONFIG REWRITE keeps comments, order and spelling and changes only what changed") {
  Settings settings;
  settings.port = 7000;
  settings.client_idle_timeout_ms = 60'000;
  settings.requirepass = "a \"b\"\n";
  settings.ignored["save"] = "900 1";
  CHECK(Rewritten("# my file\n\nPORT   7000\n  # idle\ntimeout 5\n\nsave \"\"\n", settings) ==
        "# my file\n\nPORT   7000\n  # idle\ntimeout 1min\n\nsave \"900 1\"\n\n"
        "# Written by CONFIG REWRITE\nrequirepass \"a \\\"b\\\"\\x0a\"\n");
}

TEST_CASE("CONFIG REWRITE puts a value back to its default where a line says otherwise") {
  CHECK(Rewritten("bind 10.0.0.1\nmax_connections 5", Settings()) ==
        "bind 127.0.0.1 -::1\nmax_connections 1000\n");
}

TEST_CASE("CONFIG REWRITE twice writes its header once and changes nothing the second time") {
  Settings settings;
  settings.port = 1;
  const std::string once = Rewritten("", settings);
  CHECK(once == "# Written by CONFIG REWRITE\nport 1\n");
  CHECK(Rewritten(once, settings) == once);
  settings.databases = 2;
  CHECK(Rewritten(once, settings) == once + "databases 2\n");
}

TEST_CASE("CONFIG REWRITE changes the last of several lines, the one that counts") {
  Settings settings;
  settings.port = 3;
  CHECK(Rewritten("port 1\nport 2\n", settings) == "port 1\nport 3\n");
}

TEST_CASE("CONFIG REWRITE overrides what an included file says, and leaves that file alone") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/warren.conf";
  std::ofstream(directory.path() + "/b.conf") << "port 5\ndatabases 7\n";
  std::ofstream(path) << "port 4\ninclude b.conf\n";
  Settings settings;
  settings.port = 6;
  settings.databases = 7;
  REQUIRE(ConfigRewrite(path, settings).ok());
  CHECK(*ReadWholeFile(path) == "port 6\ninclude b.conf\n\n# Written by CONFIG REWRITE\nport 6\n");
  CHECK(*ReadWholeFile(directory.path() + "/b.conf") == "port 5\ndatabases 7\n");
  LoadedSettings loaded;
  REQUIRE(LoadConfigFile(path, loaded).ok());
  CHECK(loaded.settings == settings);
}

TEST_CASE("CONFIG REWRITE replaces the file that a symbolic link names, with its permissions") {
  const TemporaryDirectory directory;
  const std::string target = directory.path() + "/real.conf";
  const std::string link = directory.path() + "/warren.conf";
  REQUIRE(WriteFileAtomically(target, "port 1\n", 0600).ok());
  std::filesystem::create_symlink("real.conf", link);
  REQUIRE(ConfigRewrite(link, Settings()).ok());
  CHECK(std::filesystem::is_symlink(link));
  CHECK(*ReadWholeFile(target) == "port 7432\n");
  struct stat info;
  REQUIRE(stat(target.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("CONFIG REWRITE says why it cannot") {
  CHECK(ConfigRewrite("", Settings()).error().message ==
        "The server is running without a config file");
  CHECK(ConfigRewrite("/nonexistent/w.conf", Settings()).error().message ==
        "Rewriting config file: file \"/nonexistent/w.conf\": cannot open: No such file or "
        "directory");
}
