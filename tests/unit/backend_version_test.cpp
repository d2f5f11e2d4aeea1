#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "base/clock.h"
#include "tests/support/command_world.h"

namespace warren::test {
namespace {

// Of GETV's reply "*2 $n value :version".
std::string VersionOf(CommandWorld& world, std::string_view key) {
  const std::string reply = world("GETV", key);
  const size_t colon = reply.rfind(':');
  REQUIRE_MESSAGE(colon != std::string::npos, reply);
  return reply.substr(colon + 1, reply.size() - colon - 3);
}

constexpr const char* kStored = ":1\r\n";
constexpr const char* kChanged = ":0\r\n";

}  // namespace

TEST_CASE("GETV returns a value with its version and null where there is no key") {
  CommandWorld world;
  CHECK(world("GETV", "k") == "*-1\r\n");
  for (size_t bytes : {size_t{0}, size_t{10}, size_t{100'000}}) {
    const std::string value(bytes, 'v');
    world("SET", "k", value);
    const std::string reply = world("GETV", "k");
    CHECK(reply.starts_with("*2\r\n" + Bulk(value) + ":"));
    CHECK(world("GETV", "k") == reply);
  }
  world("HELLO", "3");
  CHECK(world("GETV", "nothing") == "_\r\n");
}

TEST_CASE("every write of a key gives it a larger version") {
  CommandWorld world;
  world("SET", "k", "1");
  long long last = std::atoll(VersionOf(world, "k").c_str());
  CHECK(last > 0);
  const auto grows = [&](auto... words) {
    world(words...);
    const long long now = std::atoll(VersionOf(world, "k").c_str());
    CHECK(now > last);
    last = now;
  };
  grows("SET", "k", "1");
  grows("INCR", "k");
  grows("APPEND", "k", "1");
  grows("EXPIRE", "k", "1000");
  grows("PERSIST", "k");
  world("RENAME", "k", "l");
  grows("RENAME", "l", "k");
}

TEST_CASE("SETV stores only what nobody has changed since") {
  CommandWorld world;
  CHECK(world("SETV", "k", "1", "v") == kChanged);
  CHECK(world("SETV", "k", "0", "v") == kStored);
  CHECK(world("SETV", "k", "0", "w") == kChanged);
  const std::string version = VersionOf(world, "k");
  world("GET", "k");
  CHECK(world("SETV", "k", version, "w") == kStored);
  CHECK(world("SETV", "k", version, "x") == kChanged);
  CHECK(world("GET", "k") == Bulk("w"));

  // There and back is a change.
  const std::string before = VersionOf(world, "k");
  world("DEL", "k");
  CHECK(world("SETV", "k", before, "x") == kChanged);
  world("SET", "k", "w");
  CHECK(world("SETV", "k", before, "x") == kChanged);
  CHECK(world("SETV", "k", VersionOf(world, "k"), std::string(100'000, 'x')) == kStored);
  CHECK(world("STRLEN", "k") == Integer(100'000));
}

TEST_CASE("SETV replaces the expiry as SET does") {
  CommandWorld world;
  world("SET", "k", "v", "EX", "1000");
  CHECK(world("SETV", "k", VersionOf(world, "k"), "w", "KEEPTTL") == kStored);
  CHECK(world("TTL", "k") == Integer(1000));
  CHECK(world("SETV", "k", VersionOf(world, "k"), "w") == kStored);
  CHECK(world("TTL", "k") == Integer(-1));
  CHECK(world("SETV", "k", VersionOf(world, "k"), "w", "PXAT", "4102444800123") == kStored);
  CHECK(world("PEXPIRETIME", "k") == Integer(4102444800123));
  CHECK(world("SETV", "k", VersionOf(world, "k"), "w", "EXAT", "1") == kStored);
  CHECK(world("EXISTS", "k") == Integer(0));
  CHECK(world("SETV", "k", "0", "w", "EXAT", "1") == kStored);
  CHECK(world("EXISTS", "k") == Integer(0));
}

TEST_CASE("a key that has expired has no version") {
  CommandWorld world;
  world("SET", "k", "v");
  const std::string version = VersionOf(world, "k");
  world("PEXPIRE", "k", "1");
  const int64_t end_ms = WallClockMs() + 2;
  while (WallClockMs() <= end_ms) {
  }
  CHECK(world("SETV", "k", version, "w") == kChanged);
  CHECK(world("GETV", "k") == "*-1\r\n");
  CHECK(world("SETV", "k", "0", "w") == kStored);
}

TEST_CASE("SETV refuses what it does not understand") {
  CommandWorld world;
  const std::string not_a_version = "-ERR version is not an integer or out of range\r\n";
  for (const char* version : {"", "-1", "1.5", "abc", "9223372036854775808", " 1"}) {
    CAPTURE(version);
    CHECK(world("SETV", "k", version, "v") == not_a_version);
  }
  CHECK(world("SETV", "k", "9223372036854775807", "v") == kChanged);
  for (const char* option : {"NX", "XX", "GET", "PERSIST", "EX", "nothing"}) {
    CAPTURE(option);
    CHECK(world("SETV", "k", "0", "v", option) == "-ERR syntax error\r\n");
  }
  CHECK(world("SETV", "k", "0", "v", "EX", "1", "KEEPTTL") == "-ERR syntax error\r\n");
  CHECK(world("SETV", "k", "0", "v", "EX", "0") ==
        "-ERR invalid expire time in 'setv' command\r\n");
  CHECK(world("SETV", "k", "0") == "-ERR wrong number of arguments for 'setv' command\r\n");
  CHECK(world("EXISTS", "k") == Integer(0));
}

}  // namespace warren::test
