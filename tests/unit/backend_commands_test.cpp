// Data commands in one process: what a comparison with another server can't show.
#include <doctest/doctest.h>

#include <string>

#include "base/clock.h"
#include "conf/settings.h"
#include "shmem/stats.h"
#include "tests/support/command_world.h"

namespace warren::test {
TEST_CASE("a value of any size comes back as it was set") {
  CommandWorld world;
  for (size_t bytes : std::initializer_list<size_t>{0, 1, 100, 2000, 2048, 2100, 4096, 8192, 8193,
                                                    100'000, 1 << 20}) {
    CAPTURE(bytes);
    std::string value;
    for (size_t i = 0; i < bytes; ++i) value += static_cast<char>(i * 31 + bytes);
    CHECK(world("SET", "k", value) == kOk);
    CHECK(world("STRLEN", "k") == Integer(static_cast<long long>(bytes)));
    CHECK(world("GET", "k") == Bulk(value));
    CHECK(world("GETRANGE", "k", "10", "19") ==
          Bulk(std::string_view(value).substr(std::min<size_t>(bytes, 10), 10)));
    CHECK(world("APPEND", "k", "tail") == Integer(static_cast<long long>(bytes) + 4));
    CHECK(world("GETSET", "k", "x") == Bulk(value + "tail"));
  }
}

TEST_CASE("a key over max_key_size is refused by what may create it and unknown to the rest") {
  CommandWorld world;
  Settings settings;
  settings.max_key_size_bytes = 100;
  WithSettings guard(settings);
  const std::string longest(100, 'k'), too_long(101, 'k'), far_too_long(5000, 'k');
  CHECK(world("SET", longest, "v") == kOk);
  const std::string refused = "-ERR key is 101 bytes long, max_key_size is 100\r\n";
  CHECK(world("SET", too_long, "v") == refused);
  CHECK(world("INCR", too_long) == refused);
  CHECK(world("APPEND", too_long, "v") == refused);
  CHECK(world("MSET", "a", "1", too_long, "v") == refused);
  CHECK(world("RENAME", longest, too_long) == refused);
  CHECK(world("COPY", longest, too_long) == refused);
  CHECK(world("SET", far_too_long, "v") == "-ERR key is 5000 bytes long, max_key_size is 100\r\n");
  for (const std::string& key : {too_long, far_too_long}) {
    CHECK(world("GET", key) == kNull);
    CHECK(world("EXISTS", key) == Integer(0));
    CHECK(world("DEL", key) == Integer(0));
    CHECK(world("TTL", key) == Integer(-2));
    CHECK(world("EXPIRE", key, "100") == Integer(0));
    CHECK(world("PERSIST", key) == Integer(0));
    CHECK(world("GETDEL", key) == kNull);
    CHECK(world("GETEX", key, "PERSIST") == kNull);
    CHECK(world("MGET", key, longest) == "*2\r\n$-1\r\n" + Bulk("v"));
    CHECK(world("RENAME", key, "x") == "-ERR no such key\r\n");
  }
}

TEST_CASE("a key written when max_key_size was larger can still be read and removed") {
  CommandWorld world;
  const std::string key(101, 'k');
  CHECK(world("SET", key, "v") == kOk);
  Settings settings;
  settings.max_key_size_bytes = 100;
  WithSettings guard(settings);
  CHECK(world("GET", key) == Bulk("v"));
  CHECK(world("EXPIRE", key, "100") == Integer(1));
  CHECK(world("RENAME", key, "short") == kOk);
  CHECK(world("EXISTS", key) == Integer(0));
}

TEST_CASE("look-ups of read commands are counted as hits and misses") {
  CommandWorld world;
  world("SET", "k", "v");
  const auto counted = [&](auto... words) {
    const uint64_t hits = Stats::Read(StatId::kKeyspaceHits);
    const uint64_t misses = Stats::Read(StatId::kKeyspaceMisses);
    world(words...);
    return std::pair(Stats::Read(StatId::kKeyspaceHits) - hits,
                     Stats::Read(StatId::kKeyspaceMisses) - misses);
  };
  using Counts = std::pair<uint64_t, uint64_t>;
  CHECK(counted("GET", "k") == Counts(1, 0));
  CHECK(counted("GET", "no") == Counts(0, 1));
  CHECK(counted("MGET", "k", "no", "k") == Counts(2, 1));
  CHECK(counted("EXISTS", "k", "no") == Counts(1, 1));
  CHECK(counted("STRLEN", "no") == Counts(0, 1));
  CHECK(counted("TTL", "k") == Counts(1, 0));
  CHECK(counted("TYPE", "no") == Counts(0, 1));
  CHECK(counted("GETSET", "k", "w") == Counts(1, 0));
  CHECK(counted("SET", "no", "v", "XX", "GET") == Counts(0, 1));
  CHECK(counted("GETEX", "k", "PERSIST") == Counts(1, 0));
  CHECK(counted("GETEX", "no", "EX", "bad") == Counts(0, 1));
  CHECK(counted("COPY", "no", "x") == Counts(0, 1));
  for (const char* write : {"INCR", "DEL"}) CHECK(counted(write, "no") == Counts(0, 0));
  CHECK(counted("SET", "k", "v") == Counts(0, 0));
  CHECK(counted("APPEND", "k", "v") == Counts(0, 0));
  CHECK(counted("RENAME", "k", "l") == Counts(0, 0));
}

TEST_CASE("RANGE walks from start to end in key order") {
  CommandWorld world;
  for (const char* key : {"", "a", "b", "b:1", "b:2", "c", "(x", "-"}) world("SET", key, key);
  CHECK(world("RANGE", "-", "+") == Keys({"", "(x", "-", "a", "b", "b:1", "b:2", "c"}));
  CHECK(world("RANGE", "b", "c") == Keys({"b", "b:1", "b:2", "c"}));
  CHECK(world("RANGE", "(b", "(c") == Keys({"b:1", "b:2"}));
  CHECK(world("RANGE", "[(x", "[-") == Keys({"(x", "-"}));
  CHECK(world("RANGE", "aa", "bz") == Keys({"b", "b:1", "b:2"}));
  CHECK(world("RANGE", "(", "+", "LIMIT", "1") == Keys({"(x"}));
  CHECK(world("RANGE", "c", "b") == Keys({}));
  CHECK(world("RANGE", "+", "-") == Keys({}));
  CHECK(world("RANGE", "+", "+") == Keys({}));
  CHECK(world("RANGE", "-", "-") == Keys({}));
  CHECK(world("RANGE", "-", "") == Keys({""}));
  CHECK(world("RANGE", "z", "+") == Keys({}));
}

TEST_CASE("RANGE walks backwards, stops at its limit and returns values") {
  CommandWorld world;
  for (const char* key : {"", "a", "b", "c"}) world("SET", key, key);
  CHECK(world("RANGE", "-", "+", "REVERSE") == Keys({"c", "b", "a", ""}));
  CHECK(world("RANGE", "a", "(c", "reverse") == Keys({"b", "a"}));
  CHECK(world("RANGE", "-", "[", "REVERSE") == Keys({""}));
  CHECK(world("RANGE", "-", "(", "REVERSE") == Keys({}));
  CHECK(world("RANGE", "-", "+", "LIMIT", "2", "REVERSE") == Keys({"c", "b"}));
  CHECK(world("RANGE", "-", "+", "LIMIT", "2", "KEYS") == Keys({"", "a"}));
  CHECK(world("RANGE", "-", "+", "LIMIT", "0") == Keys({}));
  CHECK(world("RANGE", "b", "+", "WITHVALUES") == Keys({"b", "b", "c", "c"}));
  world.session().set_resp_version(3);
  CHECK(world("RANGE", "b", "+", "WITHVALUES") == "*2\r\n" + Keys({"b", "b"}) + Keys({"c", "c"}));
}

TEST_CASE("RANGE refuses what it does not understand") {
  CommandWorld world;
  const std::string syntax = "-ERR syntax error\r\n";
  CHECK(world("RANGE", "a", "b", "LIMIT") == syntax);
  CHECK(world("RANGE", "a", "b", "KEYS", "WITHVALUES") == syntax);
  CHECK(world("RANGE", "a", "b", "WITHVALUES", "KEYS") == syntax);
  CHECK(world("RANGE", "a", "b", "c") == syntax);
  CHECK(world("RANGE", "a", "b", "LIMIT", "x") ==
        "-ERR value is not an integer or out of range\r\n");
  CHECK(world("RANGE", "a", "b", "LIMIT", "-1") ==
        "-ERR value is out of range, must be positive\r\n");
  CHECK(world("RANGE", "a") == "-ERR wrong number of arguments for 'range' command\r\n");
}

TEST_CASE("RANGE and KEYS do not see what has expired") {
  CommandWorld world;
  world("SET", "a", "1");
  world("SET", "b", "1", "PX", "1");
  while (world("EXISTS", "b") != Integer(0)) {
  }
  CHECK(world("RANGE", "-", "+") == Keys({"a"}));
  CHECK(world("KEYS", "*") == Keys({"a"}));
  CHECK(world("SCAN", "0") == "*2\r\n" + Bulk("0") + Keys({"a"}));
}

TEST_CASE("KEYS returns keys in their order, and only those that match") {
  CommandWorld world;
  for (int i = 0; i < 2000; ++i) {
    world("SET", "user:" + std::to_string(i), "v");
    world("SET", "zone:" + std::to_string(i), "v");
  }
  CHECK(world("KEYS", "user:199?") ==
        Keys({"user:1990", "user:1991", "user:1992", "user:1993", "user:1994", "user:1995",
              "user:1996", "user:1997", "user:1998", "user:1999"}));
  CHECK(world("KEYS", "user:7") == Keys({"user:7"}));
  CHECK(world("KEYS", "zone:*").starts_with("*2000\r\n"));
  CHECK(world("KEYS", "zonk*") == Keys({}));
  CHECK(world("KEYS", "*").starts_with("*4000\r\n"));
}

TEST_CASE("SCAN with any count visits every key and comes to its end") {
  CommandWorld world;
  for (int i = 0; i < 3000; ++i) world("SET", "key:" + std::to_string(i), "v");
  for (const char* count : {"1", "7", "1000", "5000", "9223372036854775807"}) {
    CAPTURE(count);
    std::string cursor = "0";
    size_t keys = 0;
    do {
      const std::string reply = world("SCAN", cursor, "COUNT", count);
      const size_t begin = reply.find("\r\n", 4) + 2;
      cursor = reply.substr(begin, reply.find("\r\n", begin) - begin);
      for (size_t at = 0; (at = reply.find("key:", at)) != std::string::npos; ++at) ++keys;
    } while (cursor != "0");
    CHECK(keys >= 3000);
    CHECK(keys < 6000);
  }
}

TEST_CASE("a reply that would exceed the output limit is taken back") {
  CommandWorld world;
  for (int i = 0; i < 100; ++i) world("SET", "k" + std::to_string(i), std::string(1000, 'v'));
  world.session().reply().set_limit(10'000);
  CHECK(world("RANGE", "-", "+", "WITHVALUES").empty());
  CHECK(world.session().reply().overflowed());
}

TEST_CASE("a key whose new expiry is past is removed at once") {
  CommandWorld world;
  const std::string past = std::to_string(WallClockMs() - 1000);
  for (const char* command : {"PEXPIREAT", "SET", "GETEX"}) {
    CAPTURE(command);
    world("SET", "k", "v");
    if (std::string_view(command) == "SET") {
      CHECK(world("SET", "k", "v", "PXAT", past) == kOk);
    } else if (std::string_view(command) == "GETEX") {
      CHECK(world("GETEX", "k", "PXAT", past) == Bulk("v"));
    } else {
      CHECK(world("PEXPIREAT", "k", past) == Integer(1));
    }
    CHECK(world("DBSIZE") == Integer(0));
    CHECK(world("GET", "k") == kNull);
  }
}

TEST_CASE("a time to live shrinks and ends") {
  CommandWorld world;
  world("SET", "k", "v", "PX", "300");
  CHECK(world("TTL", "k") == Integer(0));
  std::string last = world("PTTL", "k");
  int steps = 0;
  for (std::string left = last; left != Integer(-2); left = world("PTTL", "k")) {
    if (left != last) ++steps;
    CHECK(std::stoll(left.substr(1)) <= std::stoll(last.substr(1)));
    last = left;
  }
  CHECK(steps > 1);
  CHECK(world("EXISTS", "k") == Integer(0));
  CHECK(world("DBSIZE") == Integer(0));
}

TEST_CASE("SETRANGE and APPEND stop at max_value_size") {
  CommandWorld world;
  Settings settings;
  settings.max_value_size_bytes = 5000;
  WithSettings guard(settings);
  const std::string refused = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
  CHECK(world("SETRANGE", "k", "4999", "x") == Integer(5000));
  CHECK(world("SETRANGE", "k", "5000", "x") == refused);
  CHECK(world("SETRANGE", "new", "9223372036854775807", "x") == refused);
  CHECK(world("APPEND", "k", "x") == refused);
  CHECK(world("GET", "k") == Bulk(std::string(4999, '\0') + "x"));
}

}  // namespace warren::test
