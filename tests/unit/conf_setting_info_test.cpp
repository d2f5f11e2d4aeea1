#include <string>
#include <vector>

#include "conf/setting_info.h"

#include <doctest/doctest.h>

using namespace warren;

namespace {

// The error of parsing `text` for `name`, or "" if it is accepted.
std::string ErrorOf(std::string_view name, std::string_view text) {
  Settings settings;
  const Status status = ParseSetting(*FindSetting(name), text, settings);
  return status.ok() ? "" : status.error().message;
}

// `text` as it comes out again.
std::string Reformatted(std::string_view name, std::string_view text) {
  Settings settings;
  const SettingInfo& info = *FindSetting(name);
  REQUIRE(ParseSetting(info, text, settings).ok());
  return FormatSetting(info, settings);
}

}  // namespace

TEST_CASE("a setting is found by name and alias, whatever the case and the dashes") {
  const SettingInfo* info = FindSetting("max_connections");
  REQUIRE(info != nullptr);
  CHECK(FindSetting("MAX-Connections") == info);
  CHECK(FindSetting("maxclients") == info);
  CHECK(FindSetting("Timeout") == FindSetting("client_idle_timeout"));
  CHECK(FindSetting("dir") == FindSetting("data_directory"));
  CHECK(FindSetting("unixsocketperm") == FindSetting("unix_socket_permissions"));
  CHECK(FindSetting("proto_max_bulk_len") == FindSetting("max_value_size"));
  CHECK(FindSetting("list-max-ziplist-size") == FindSetting("list-max-listpack-size"));
  CHECK(FindSetting("maxclient") == nullptr);
  CHECK(FindSetting("") == nullptr);
}

TEST_CASE("every default is accepted, in range, and reads back the same") {
  const Settings defaults;
  for (const SettingInfo& info : SettingTable()) {
    CAPTURE(info.name);
    Settings settings;
    const std::string text = FormatSetting(info, defaults);
    const Status status = ParseSetting(info, text, settings);
    CHECK(status.ok());
    CHECK(settings == defaults);
    CHECK(ParseSetting(info, FormatSettingBare(info, defaults), settings).ok());
    CHECK(settings == defaults);
    CHECK_FALSE((info.help.empty() && info.type != SettingType::kIgnored));
  }
}

TEST_CASE("the defaults are those of the documentation") {
  const Settings settings;
  CHECK(settings.port == 7432);
  CHECK(settings.bind == std::vector<std::string>{"127.0.0.1", "-::1"});
  CHECK(settings.max_connections == 1000);
  CHECK(settings.shared_buffers_bytes == 128u * 1024 * 1024);
  CHECK(settings.max_key_size_bytes == 1024);
  CHECK(settings.max_value_size_bytes == 64u * 1024 * 1024);
  CHECK(settings.bgwriter_delay_ms == 200);
  CHECK(settings.log_level == log::Level::kNotice);
  CHECK(settings.wait_policy == WaitPolicy::kAdaptive);
  CHECK_FALSE(settings.fault_points);
}

TEST_CASE("values are shown with units, and bare for those who know Redis") {
  Settings settings;
  settings.client_idle_timeout_ms = 300'000;
  settings.max_value_size_bytes = 1024 * 1024;
  const SettingInfo& timeout = *FindSetting("timeout");
  CHECK(FormatSetting(timeout, settings) == "5min");
  CHECK(FormatSettingBare(timeout, settings) == "300");
  CHECK(FormatSettingBare(*FindSetting("max_value_size"), settings) == "1048576");
  settings.client_idle_timeout_ms = 1500;
  CHECK(FormatSettingBare(timeout, settings) == "1500ms");
  CHECK(Reformatted("unixsocketperm", "0770") == "770");
  CHECK(Reformatted("fault_points", "on") == "yes");
  CHECK(Reformatted("log_level", "VERBOSE") == "info");
  CHECK(Reformatted("bind", "  10.0.0.1   -::1 ") == "10.0.0.1 -::1");
  CHECK(Reformatted("save", "900 1") == "900 1");
  CHECK(Reformatted("requirepass", "a b") == "a b");
}

TEST_CASE("a wrong value is quoted together with what is allowed") {
  CHECK(ErrorOf("shared_buffers", "12xb") == "\"12xb\" is not a size; allowed 1mb to 1tb");
  CHECK(ErrorOf("shared_buffers", "12kb") == "\"12kb\" is out of range; allowed 1mb to 1tb");
  CHECK(ErrorOf("port", "abc") == "\"abc\" is not a number; allowed 0 to 65535");
  CHECK(ErrorOf("port", "65536") == "\"65536\" is out of range; allowed 0 to 65535");
  CHECK(ErrorOf("port", "-1") == "\"-1\" is not a number; allowed 0 to 65535");
  CHECK(ErrorOf("port", "") == "\"\" is not a number; allowed 0 to 65535");
  CHECK(ErrorOf("bgwriter_delay", "1x") == "\"1x\" is not a duration; allowed 10ms to 10s");
  CHECK(ErrorOf("bgwriter_delay", "1ms") == "\"1ms\" is out of range; allowed 10ms to 10s");
  CHECK(ErrorOf("huge_pages", "maybe") == "\"maybe\" is not known; allowed off, try, on");
  CHECK(ErrorOf("log_level", "loud") ==
        "\"loud\" is not known; allowed debug, info, notice, warning, error");
  CHECK(ErrorOf("fault_points", "2") == "\"2\" is not known; allowed yes, no");
  CHECK(ErrorOf("unixsocketperm", "8") == "\"8\" is not an octal number; allowed 0 to 777");
  CHECK(ErrorOf("unixsocketperm", "1777") == "\"1777\" is out of range; allowed 0 to 777");
  CHECK(ErrorOf("data_directory", "") == "\"\" is too short; allowed 1 to 3072 bytes");
  const std::string path(108, 'p');
  CHECK(ErrorOf("unix_socket", path) == "\"" + path + "\" is too long; allowed at most 107 bytes");
  CHECK(ErrorOf("bind", "\"a") == "unbalanced quotes");
  CHECK(ErrorOf("requirepass", std::string_view("a\0b", 3)) == "a zero byte is not allowed");
}

TEST_CASE("a setting without effect keeps its value but not a promise that would be broken") {
  CHECK(ErrorOf("maxmemory", "100mb") == "");
  CHECK(ErrorOf("daemonize", "yes") == "\"yes\" is not supported; allowed no");
  CHECK(ErrorOf("supervised", "systemd") == "\"systemd\" is not supported; allowed no, auto");
  CHECK(ErrorOf("supervised", "AUTO") == "");
  CHECK(ErrorOf("tls-port", "6380") == "\"6380\" is not supported; allowed 0");
  CHECK(ErrorOf("replicaof", "host 1") == "\"host 1\" is not supported; allowed no one");
  CHECK(ErrorOf("save", std::string(1025, 'x')).ends_with("allowed at most 1024 bytes"));
}

TEST_CASE("a failed value leaves the settings as they were") {
  Settings settings;
  settings.port = 5;
  const Settings before = settings;
  CHECK_FALSE(ParseSetting(*FindSetting("port"), "70000", settings).ok());
  CHECK(settings == before);
}

TEST_CASE("a configuration line has one word for each setting but lists and those without effect") {
  Settings settings;
  const auto parse = [&](std::string_view name, std::vector<std::string> words) {
    const Status status = ParseSetting(*FindSetting(name), words, settings);
    return status.ok() ? "" : status.error().message;
  };
  CHECK(parse("port", {}) == "value missing");
  CHECK(parse("port", {"1", "2"}) == "one value expected, 2 given");
  CHECK(parse("bind", {"a", "b"}) == "");
  CHECK(settings.bind == std::vector<std::string>{"a", "b"});
  CHECK(parse("save", {"900", "1"}) == "");
  CHECK(settings.ignored.at("save") == "900 1");
  CHECK(parse("requirepass", {"a b"}) == "");
  CHECK(settings.requirepass == "a b");
}

TEST_CASE("connections are reserved only for a Unix socket that is there, and never all") {
  Settings settings;
  CHECK(ConnectionsReservedForUnixSocket(settings) == 0);
  settings.unix_socket = "/tmp/s";
  CHECK(ConnectionsReservedForUnixSocket(settings) == 3);
  settings.max_connections = 2;
  CHECK(ConnectionsReservedForUnixSocket(settings) == 1);
}
