// What do scans inside a transaction see?
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "tests/support/transaction_world.h"

namespace warren::test {

TEST_CASE("ranges merge the store's keys with the transaction's own in both directions") {
  CommandWorld world;
  for (const char* key : {"b", "d", "f", "h"}) CHECK(world("SET", key, "old") == kOk);
  CHECK(world("BEGIN") == kOk);
  for (const char* key : {"a", "c", "f", "i"}) CHECK(world("SET", key, "new") == kOk);
  CHECK(world("DEL", "d") == Integer(1));
  CHECK(world("EXPIRE", "h", "100") == Integer(1));
  CHECK(world("RANGE", "-", "+") == Keys({"a", "b", "c", "f", "h", "i"}));
  CHECK(world("RANGE", "-", "+", "REVERSE") == Keys({"i", "h", "f", "c", "b", "a"}));
  CHECK(world("RANGE", "b", "h") == Keys({"b", "c", "f", "h"}));
  CHECK(world("RANGE", "(b", "(h") == Keys({"c", "f"}));
  CHECK(world("RANGE", "c", "f", "REVERSE") == Keys({"f", "c"}));
  CHECK(world("RANGE", "(c", "(i", "REVERSE", "LIMIT", "2") == Keys({"h", "f"}));
  CHECK(world("RANGE", "d", "g", "WITHVALUES") == "*2\r\n" + Bulk("f") + Bulk("new"));
  CHECK(world("RANGE", "g", "+", "WITHVALUES") ==
        "*4\r\n" + Bulk("h") + Bulk("old") + Bulk("i") + Bulk("new"));
  CHECK(world("RANGE", "-", "+", "LIMIT", "1") == Keys({"a"}));
  CHECK(world("RANGE", "-", "+", "LIMIT", "1", "REVERSE") == Keys({"i"}));
  CHECK(world("KEYS", "*") == Keys({"a", "b", "c", "f", "h", "i"}));
  CHECK(world("KEYS", "c*") == Keys({"c"}));
  CHECK(world("DBSIZE") == Integer(6));
  CHECK(world("ROLLBACK") == kOk);
  CHECK(world("KEYS", "*") == Keys({"b", "d", "f", "h"}));
  CHECK(world("DBSIZE") == Integer(4));
}

TEST_CASE("an emptied database shows only what was put afterwards") {
  CommandWorld world;
  for (const char* key : {"a", "b", "c"}) CHECK(world("SET", key, "old") == kOk);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("SET", "own", "1") == kOk);
  CHECK(world("FLUSHDB") == kOk);
  CHECK(world("DBSIZE") == Integer(0));
  CHECK(world("GET", "a") == kNull);
  CHECK(world("KEYS", "*") == "*0\r\n");
  CHECK(world("RANDOMKEY") == kNull);
  CHECK(world("DEL", "a", "own") == Integer(0));
  CHECK(world("SET", "b", "new") == kOk);
  CHECK(world("INCR", "n") == Integer(1));
  CHECK(world("RANGE", "-", "+", "REVERSE") == Keys({"n", "b"}));
  CHECK(world("SCAN", "0") == "*2\r\n" + Bulk("0") + Keys({"b", "n"}));
  CHECK(world("DBSIZE") == Integer(2));
  CHECK(Stored(0, "a") == "old");
  CHECK(world("COMMIT") == kOk);
  CHECK(world("KEYS", "*") == Keys({"b", "n"}));
  CHECK(world("GET", "b") == Bulk("new"));
}

TEST_CASE("SCAN inside a transaction returns every key that stands there once or more") {
  CommandWorld world;
  std::set<std::string> expected;
  for (int i = 0; i < 500; ++i) {
    CHECK(world("SET", "stored:" + std::to_string(i), std::string(200, 'v')) == kOk);
  }
  CHECK(world("BEGIN") == kOk);
  for (int i = 0; i < 500; ++i) {
    const std::string key = "stored:" + std::to_string(i);
    if (i % 3 == 0) {
      CHECK(world("DEL", key) == Integer(1));
    } else {
      expected.insert(key);
    }
  }
  for (int i = 0; i < 20; ++i) {
    CHECK(world("SET", "own:" + std::to_string(i), "v") == kOk);
    expected.insert("own:" + std::to_string(i));
  }
  std::set<std::string> seen;
  std::string cursor = "0";
  do {
    const std::string reply = world("SCAN", cursor, "COUNT", "50");
    // *2 $n cursor *n ($n key)...
    size_t at = 0;
    const auto line = [&] {
      const size_t end = reply.find("\r\n", at);
      std::string text = reply.substr(at, end - at);
      at = end + 2;
      return text;
    };
    CHECK(line() == "*2");
    line();
    cursor = line();
    const int count = std::stoi(line().substr(1));
    for (int i = 0; i < count; ++i) {
      line();
      seen.insert(line());
    }
  } while (cursor != "0");
  CHECK(seen == expected);
  CHECK(world("DBSIZE") == Integer(static_cast<long long>(expected.size())));
  for (int i = 0; i < 50; ++i) {
    const std::string reply = world("RANDOMKEY");
    CHECK(expected.contains(
        reply.substr(reply.find("\r\n") + 2, reply.size() - reply.find("\r\n") - 4)));
  }
  CHECK(world("COMMIT") == kOk);
}

TEST_CASE("RANDOMKEY finds the last key that is left") {
  CommandWorld world;
  for (int i = 0; i < 300; ++i) CHECK(world("SET", "k" + std::to_string(i), "v") == kOk);
  CHECK(world("BEGIN") == kOk);
  for (int i = 0; i < 299; ++i) CHECK(world("DEL", "k" + std::to_string(i)) == Integer(1));
  CHECK(world("RANDOMKEY") == Bulk("k299"));
  CHECK(world("DEL", "k299") == Integer(1));
  CHECK(world("RANDOMKEY") == kNull);
  CHECK(world("DBSIZE") == Integer(0));
  CHECK(world("ROLLBACK") == kOk);
}

}  // namespace warren::test
