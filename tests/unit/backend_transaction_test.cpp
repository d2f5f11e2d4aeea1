// Interactive transactions in one process: what they see, what they leave behind.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "backend/batch.h"
#include "backend/keyspace.h"
#include "backend/transaction.h"
#include "base/clock.h"
#include "conf/settings.h"
#include "shmem/lock_table.h"
#include "tests/support/command_world.h"

namespace warren::test {
namespace {

constexpr const char* kOk = "+OK\r\n";
constexpr const char* kNull = "$-1\r\n";

std::string Keys(std::initializer_list<std::string> keys) {
  std::string reply = "*" + std::to_string(keys.size()) + "\r\n";
  for (const std::string& key : keys) reply += Bulk(key);
  return reply;
}

bool Is(const std::string& reply, std::string_view prefix) { return reply.starts_with(prefix); }

// Puts settings in force for the life of the object.
class WithSettings {
 public:
  explicit WithSettings(const Settings& settings) : former_(GetSettings()) { Use(settings); }
  ~WithSettings() { Use(former_); }

 private:
  static void Use(const Settings& settings) { REQUIRE(UseSettings(settings).ok()); }
  Settings former_;
};

// What the store has, past the transaction that is open.
std::string Stored(uint32_t database, std::string_view key) {
  std::string value = "(none)";
  REQUIRE(Store::Read(
              database, key, WallClockMs(), NeedValue::kYes,
              [&](const Current& current, uint64_t) {
                if (current.exists) value = current.value;
              },
              LockLook::kHolder)
              .ok());
  return value;
}

}  // namespace

TEST_CASE("changes are seen inside at once and in the store only after COMMIT") {
  CommandWorld world;
  CHECK(world("SET", "a", "1") == kOk);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("SET", "a", "2") == kOk);
  CHECK(world("SET", "b", "3") == kOk);
  CHECK(world("INCR", "a") == Integer(3));
  CHECK(world("INCR", "a") == Integer(4));
  CHECK(world("GET", "a") == Bulk("4"));
  CHECK(world("APPEND", "b", "x") == Integer(2));
  CHECK(world("MGET", "a", "b", "c") == "*3\r\n" + Bulk("4") + Bulk("3x") + kNull);
  CHECK(Stored(0, "a") == "1");
  CHECK(Stored(0, "b") == "(none)");
  CHECK(world("COMMIT") == kOk);
  CHECK(Stored(0, "a") == "4");
  CHECK(Stored(0, "b") == "3x");
  CHECK(LockTable::EntryCount() == 0);
}

TEST_CASE("ROLLBACK leaves the store as it was and no lock") {
  CommandWorld world;
  CHECK(world("SET", "a", "1", "PX", "100000") == kOk);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("DEL", "a") == Integer(1));
  CHECK(world("GET", "a") == kNull);
  CHECK(world("SET", "a", "2") == kOk);
  CHECK(world("TTL", "a") == Integer(-1));
  CHECK(world("FLUSHALL") == kOk);
  CHECK(world("SET", "b", "2") == kOk);
  CHECK(LockTable::EntryCount() > 0);
  CHECK(world("ROLLBACK") == kOk);
  CHECK(LockTable::EntryCount() == 0);
  CHECK(world("GET", "a") == Bulk("1"));
  CHECK(world("TTL", "a") == Integer(100));
  CHECK(world("EXISTS", "b") == Integer(0));
}

TEST_CASE("expiry inside a transaction follows its own changes") {
  CommandWorld world;
  CHECK(world("SET", "stored", "1", "EX", "100") == kOk);
  CHECK(world("SET", "plain", "1") == kOk);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("SET", "stored", "2", "KEEPTTL") == kOk);
  CHECK(world("TTL", "stored") == Integer(100));
  CHECK(world("PERSIST", "stored") == Integer(1));
  CHECK(world("PERSIST", "stored") == Integer(0));
  CHECK(world("TTL", "stored") == Integer(-1));
  CHECK(world("EXPIRE", "plain", "50") == Integer(1));
  CHECK(world("EXPIRE", "plain", "40", "GT") == Integer(0));
  CHECK(world("TTL", "plain") == Integer(50));
  CHECK(world("GET", "plain") == Bulk("1"));
  CHECK(world("STRLEN", "plain") == Integer(1));
  CHECK(world("INCR", "plain") == Integer(2));
  CHECK(world("TTL", "plain") == Integer(50));
  CHECK(world("GETEX", "plain", "EX", "30") == Bulk("2"));
  CHECK(world("TTL", "plain") == Integer(30));
  CHECK(world("GETEX", "plain", "PERSIST") == Bulk("2"));
  CHECK(world("TTL", "plain") == Integer(-1));
  CHECK(world("EXPIRE", "plain", "-1") == Integer(1));
  CHECK(world("EXISTS", "plain") == Integer(0));
  CHECK(world("COMMIT") == kOk);
  CHECK(world("TTL", "stored") == Integer(-1));
  CHECK(world("GET", "stored") == Bulk("2"));
  CHECK(world("EXISTS", "plain") == Integer(0));
}

TEST_CASE("only the expiry of a large value changes without the value being copied") {
  CommandWorld world;
  const std::string large(300'000, 'v');
  CHECK(world("SET", "k", large) == kOk);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("EXPIRE", "k", "100") == Integer(1));
  CHECK(world.session().transaction()->bytes() < 1000);
  CHECK(world("GET", "k") == Bulk(large));
  CHECK(world("STRLEN", "k") == Integer(300'000));
  CHECK(world("RANGE", "-", "+", "WITHVALUES") == "*2\r\n" + Bulk("k") + Bulk(large));
  CHECK(world("COMMIT") == kOk);
  CHECK(world("TTL", "k") == Integer(100));
  CHECK(world("GET", "k") == Bulk(large));
}

TEST_CASE("values of any size go through a transaction") {
  CommandWorld world;
  for (size_t bytes : std::initializer_list<size_t>{0, 1, 2000, 2048, 2100, 8192, 100'000}) {
    CAPTURE(bytes);
    std::string value;
    for (size_t i = 0; i < bytes; ++i) value += static_cast<char>(i * 31 + bytes);
    CHECK(world("BEGIN") == kOk);
    CHECK(world("SET", "k", value) == kOk);
    CHECK(world("GET", "k") == Bulk(value));
    CHECK(world("APPEND", "k", "tail") == Integer(static_cast<long long>(bytes) + 4));
    CHECK(world("COMMIT") == kOk);
    CHECK(world("GET", "k") == Bulk(value + "tail"));
    CHECK(world("BEGIN") == kOk);
    CHECK(world("APPEND", "k", "more") == Integer(static_cast<long long>(bytes) + 8));
    CHECK(world("GETDEL", "k") == Bulk(value + "tailmore"));
    CHECK(world("COMMIT") == kOk);
    CHECK(world("EXISTS", "k") == Integer(0));
  }
}

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

TEST_CASE("a key whose time has come is no key inside, and counts once when it is put again") {
  CommandWorld world;
  CHECK(world("SET", "k", "old", "PX", "1") == kOk);
  const int64_t from_ms = WallClockMs();
  while (WallClockMs() < from_ms + 3) {
  }
  CHECK(world("BEGIN") == kOk);
  CHECK(world("DEL", "k") == Integer(0));
  CHECK(world("SETNX", "k", "new") == Integer(1));
  CHECK(world("GET", "k") == Bulk("new"));
  CHECK(world("TTL", "k") == Integer(-1));
  CHECK(world("DBSIZE") == Integer(1));
  CHECK(world("SCAN", "0") == "*2\r\n" + Bulk("0") + Keys({"k"}));
  CHECK(world("COMMIT") == kOk);
  CHECK(world("GET", "k") == Bulk("new"));
  CHECK(world("DBSIZE") == Integer(1));
}

TEST_CASE("time stands still between BEGIN and COMMIT") {
  CommandWorld world;
  CHECK(world("SET", "k", "v", "PX", "30") == kOk);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("EXISTS", "k") == Integer(1));
  const int64_t from_ms = WallClockMs();
  while (WallClockMs() < from_ms + 60) {
  }
  CHECK(world("GET", "k") == Bulk("v"));
  CHECK(world("PERSIST", "k") == Integer(1));
  CHECK(world("COMMIT") == kOk);
  CHECK(world("GET", "k") == Bulk("v"));
}

TEST_CASE("savepoints take back what was done since, and may be nested and of the same name") {
  CommandWorld world;
  CHECK(world("SET", "a", "stored") == kOk);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("SET", "a", "1") == kOk);
  CHECK(world("SAVEPOINT", "s") == kOk);
  CHECK(world("SET", "a", "2") == kOk);
  CHECK(world("SET", "b", "2") == kOk);
  CHECK(world("SAVEPOINT", "s") == kOk);
  CHECK(world("DEL", "a") == Integer(1));
  CHECK(world("FLUSHDB") == kOk);
  CHECK(world("SET", "c", "3") == kOk);
  CHECK(world("KEYS", "*") == Keys({"c"}));
  CHECK(world("ROLLBACK", "TO", "s") == kOk);
  CHECK(world("KEYS", "*") == Keys({"a", "b"}));
  CHECK(world("GET", "a") == Bulk("2"));
  CHECK(world("ROLLBACK", "TO", "SAVEPOINT", "s") == kOk);  // it has stayed
  CHECK(world("RELEASE", "SAVEPOINT", "s") == kOk);
  CHECK(world("GET", "a") == Bulk("2"));
  CHECK(world("ROLLBACK", "TO", "s") == kOk);  // the outer one
  CHECK(world("GET", "a") == Bulk("1"));
  CHECK(world("EXISTS", "b") == Integer(0));
  CHECK(world("RELEASE", "s") == kOk);
  CHECK(Is(world("ROLLBACK", "TO", "s"), "-ERR no such savepoint 's'"));
  CHECK(world("COMMIT") == kOk);
  CHECK(world("GET", "a") == Bulk("1"));
  CHECK(world("DBSIZE") == Integer(1));
}

TEST_CASE("a released savepoint's changes are taken back by the one around it") {
  CommandWorld world;
  CHECK(world("BEGIN") == kOk);
  CHECK(world("SET", "a", "0") == kOk);
  CHECK(world("SAVEPOINT", "outer") == kOk);
  CHECK(world("SET", "a", "1") == kOk);
  CHECK(world("SAVEPOINT", "inner") == kOk);
  CHECK(world("SET", "a", "2") == kOk);
  CHECK(world("DEL", "a") == Integer(1));
  CHECK(world("SET", "a", "3") == kOk);
  CHECK(world("SET", "b", "3") == kOk);
  CHECK(world("RELEASE", "inner") == kOk);
  CHECK(world("DEL", "b") == Integer(1));
  CHECK(world("ROLLBACK", "TO", "outer") == kOk);
  CHECK(world("GET", "a") == Bulk("0"));
  CHECK(world("EXISTS", "b") == Integer(0));
  CHECK(world("ROLLBACK") == kOk);
}

TEST_CASE("random changes and savepoints agree with copies of a plain map") {
  CommandWorld world;
  uint64_t seed = 20'240'607;
  const auto draw = [&](uint64_t n) {
    seed = seed * 6'364'136'223'846'793'005u + 1'442'695'040'888'963'407u;
    return (seed >> 33) % n;
  };
  std::map<std::string, std::string> model;
  for (int i = 0; i < 8; ++i) {
    model["k" + std::to_string(i)] = "s";
    CHECK(world("SET", "k" + std::to_string(i), "s") == kOk);
  }
  for (int round = 0; round < 60; ++round) {
    const auto stored = model;
    std::vector<std::pair<std::string, std::map<std::string, std::string>>> savepoints;
    REQUIRE(world("BEGIN") == kOk);
    for (int step = 0; step < 60; ++step) {
      const std::string key = "k" + std::to_string(draw(16));
      const std::string name = "s" + std::to_string(draw(3));
      const auto savepoint = [&] {
        size_t at = savepoints.size();
        while (at > 0 && savepoints[at - 1].first != name) --at;
        return at;  // one beyond its index, 0: none
      };
      switch (draw(10)) {
        case 0:
        case 1:
        case 2:
          REQUIRE(world("SET", key, std::to_string(step)) == kOk);
          model[key] = std::to_string(step);
          break;
        case 3:
        case 4:
          REQUIRE(world("DEL", key) == Integer(static_cast<long long>(model.erase(key))));
          break;
        case 5:
          REQUIRE(world("SAVEPOINT", name) == kOk);
          savepoints.emplace_back(name, model);
          break;
        case 6:
          if (const size_t at = savepoint(); at > 0) {
            REQUIRE(world("ROLLBACK", "TO", name) == kOk);
            savepoints.resize(at);
            model = savepoints.back().second;
          }
          break;
        case 7:
          if (const size_t at = savepoint(); at > 0) {
            REQUIRE(world("RELEASE", name) == kOk);
            savepoints.resize(at - 1);
          }
          break;
        case 8:
          REQUIRE(world("APPEND", key, "+") ==
                  Integer(static_cast<long long>((model[key] += "+").size())));
          break;
        case 9:
          if (draw(4) == 0) {
            REQUIRE(world("FLUSHDB") == kOk);
            model.clear();
          } else {
            // Fails after its first key was stored.
            const std::string too_long(3000, 'k');
            REQUIRE(Is(world("MSET", key, "half", too_long, "v"), "-ERR key is"));
          }
          break;
      }
      std::string expected = "*" + std::to_string(2 * model.size()) + "\r\n";
      for (const auto& [k, v] : model) expected += Bulk(k) + Bulk(v);
      REQUIRE(world("RANGE", "-", "+", "WITHVALUES") == expected);
      REQUIRE(world("DBSIZE") == Integer(static_cast<long long>(model.size())));
    }
    if (draw(3) == 0) {
      REQUIRE(world("ROLLBACK") == kOk);
      model = stored;
    } else {
      REQUIRE(world("COMMIT") == kOk);
    }
    REQUIRE(LockTable::EntryCount() == 0);
    std::string expected = "*" + std::to_string(2 * model.size()) + "\r\n";
    for (const auto& [k, v] : model) expected += Bulk(k) + Bulk(v);
    REQUIRE(world("RANGE", "-", "+", "WITHVALUES") == expected);
    REQUIRE(world("DBSIZE") == Integer(static_cast<long long>(model.size())));
  }
}

TEST_CASE("a command that fails half-way leaves no change, inside and outside of a transaction") {
  CommandWorld world;
  const std::string too_long(3000, 'k');
  CHECK(Is(world("MSET", "a", "1", too_long, "2"), "-ERR key is"));
  CHECK(world("EXISTS", "a") == Integer(0));
  CHECK(world("BEGIN") == kOk);
  CHECK(world("SET", "a", "0") == kOk);
  CHECK(Is(world("MSET", "a", "1", "b", "1", too_long, "2"), "-ERR key is"));
  CHECK(world("GET", "a") == Bulk("0"));
  CHECK(world("EXISTS", "b") == Integer(0));
  CHECK(Is(world("INCRBY", "a", "x"), "-ERR value is not an integer"));
  CHECK(world("COMMIT") == kOk);
  CHECK(world("GET", "a") == Bulk("0"));
  CHECK(LockTable::EntryCount() == 0);
}

TEST_CASE("RENAME, COPY, MOVE and MSETNX do the same inside and outside of a transaction") {
  CommandWorld world;
  for (const bool inside : {false, true}) {
    CAPTURE(inside);
    CHECK(world("FLUSHALL") == kOk);
    CHECK(world("SET", "a", "1", "EX", "100") == kOk);
    if (inside) CHECK(world("BEGIN") == kOk);
    CHECK(world("RENAME", "a", "a") == kOk);
    CHECK(Is(world("RENAME", "none", "none"), "-ERR no such key"));
    CHECK(world("RENAME", "a", "b") == kOk);
    CHECK(world("EXISTS", "a") == Integer(0));
    CHECK(world("TTL", "b") == Integer(100));
    CHECK(world("RENAMENX", "b", "b") == Integer(0));
    CHECK(world("SET", "a", "2") == kOk);
    CHECK(world("RENAMENX", "a", "b") == Integer(0));
    CHECK(world("COPY", "b", "c") == Integer(1));
    CHECK(world("COPY", "b", "c") == Integer(0));
    CHECK(world("COPY", "a", "c", "REPLACE") == Integer(1));
    CHECK(world("COPY", "b", "b", "DB", "1") == Integer(1));
    CHECK(Is(world("COPY", "b", "b", "DB", "99"), "-ERR DB index is out of range"));
    CHECK(world("MOVE", "b", "1") == Integer(0));
    CHECK(world("MOVE", "a", "1") == Integer(1));
    CHECK(world("MSETNX", "x", "1", "c", "1") == Integer(0));
    CHECK(world("EXISTS", "x") == Integer(0));
    CHECK(world("MSETNX", "x", "1", "y", "1") == Integer(1));
    CHECK(world("MSETNX", "x", "2") == Integer(0));
    CHECK(world("DEL", "x", "x", "y") == Integer(2));
    CHECK(world("MSET", "z", "1", "z", "2") == kOk);
    if (inside) CHECK(world("COMMIT") == kOk);
    CHECK(world("KEYS", "*") == Keys({"b", "c", "z"}));
    CHECK(world("GET", "c") == Bulk("2"));
    CHECK(world("GET", "z") == Bulk("2"));
    CHECK(world("SELECT", "1") == kOk);
    CHECK(world("KEYS", "*") == Keys({"a", "b"}));
    CHECK(world("TTL", "b") == Integer(100));
    CHECK(world("SELECT", "0") == kOk);
    CHECK(LockTable::EntryCount() == 0);
  }
}

TEST_CASE("FLUSHALL inside empties every database at COMMIT, not before") {
  CommandWorld world;
  CHECK(world("SET", "a", "0") == kOk);
  CHECK(world("SELECT", "1") == kOk);
  CHECK(world("SET", "a", "1") == kOk);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("FLUSHALL") == kOk);
  CHECK(world("SET", "b", "1") == kOk);
  CHECK(Stored(0, "a") == "0");
  CHECK(Stored(1, "a") == "1");
  CHECK(world("COMMIT") == kOk);
  CHECK(Stored(0, "a") == "(none)");
  CHECK(world("KEYS", "*") == Keys({"b"}));
}

TEST_CASE("a transaction that needs too much memory is aborted and its locks are gone") {
  CommandWorld world;
  Settings settings;
  settings.transaction_max_memory_bytes = 10'000;
  WithSettings guard(settings);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("SET", "a", std::string(4000, 'v')) == kOk);
  CHECK(Is(world("SET", "b", std::string(9000, 'v')),
           "-ERR transaction needs more than transaction_max_memory, 10000 bytes"));
  CHECK(LockTable::EntryCount() == 0);
  CHECK(Is(world("GET", "a"), "-ABORTED current transaction is aborted (ERR transaction needs"));
  CHECK(Is(world("SAVEPOINT", "s"), "-ABORTED"));
  CHECK(Is(world("BEGIN"), "-ABORTED"));
  CHECK(world("PING") == "+PONG\r\n");
  CHECK(Is(world("COMMIT"), "-ABORTED"));
  CHECK(Is(world("COMMIT"), "-ERR COMMIT without BEGIN"));
  CHECK(world("EXISTS", "a", "b") == Integer(0));
}

TEST_CASE("with a savepoint a transaction that was too large can go on from there") {
  CommandWorld world;
  Settings settings;
  settings.transaction_max_memory_bytes = 10'000;
  WithSettings guard(settings);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("SET", "a", "1") == kOk);
  CHECK(world("SAVEPOINT", "s") == kOk);
  CHECK(Is(world("SET", "b", std::string(11'000, 'v')), "-ERR transaction needs more"));
  CHECK(LockTable::EntryCount() > 0);
  CHECK(Is(world("GET", "a"), "-ABORTED"));
  CHECK(world("ROLLBACK", "TO", "s") == kOk);
  CHECK(world("GET", "a") == Bulk("1"));
  CHECK(world("COMMIT") == kOk);
  CHECK(world("GET", "a") == Bulk("1"));
  CHECK(LockTable::EntryCount() == 0);
}

TEST_CASE("counting up one key again and again needs no more memory, savepoint or not") {
  CommandWorld world;
  CHECK(world("BEGIN") == kOk);
  CHECK(world("SAVEPOINT", "s") == kOk);
  CHECK(world("INCR", "n") == Integer(1));
  CHECK(world("INCR", "n") == Integer(2));
  const uint64_t bytes = world.session().transaction()->bytes();
  for (int i = 3; i < 10; ++i) CHECK(world("INCR", "n") == Integer(i));
  CHECK(world.session().transaction()->bytes() == bytes);
  CHECK(world("ROLLBACK", "TO", "s") == kOk);
  CHECK(world("GET", "n") == kNull);
  CHECK(world("RELEASE", "s") == kOk);
  CHECK(world.session().transaction()->bytes() == 0);
  CHECK(world("ROLLBACK") == kOk);
}

TEST_CASE("a read-only transaction writes nothing and says so") {
  CommandWorld world;
  CHECK(world("SET", "a", "1") == kOk);
  CHECK(world("BEGIN", "READ", "ONLY") == kOk);
  CHECK(world("GET", "a") == Bulk("1"));
  for (const std::string& reply : {world("SET", "a", "2"), world("DEL", "a"), world("FLUSHDB"),
                                   world("GETLOCK", "a"), world("MSET", "a", "1", "b", "2")}) {
    CHECK(reply.find("is not allowed inside a read-only transaction") != std::string::npos);
  }
  CHECK(world("GET", "a") == Bulk("1"));
  CHECK(world("COMMIT") == kOk);
  CHECK(LockTable::EntryCount() == 0);
}

TEST_CASE("which locks a transaction holds follows from what it did") {
  CommandWorld world;
  const auto held = [](const LockTag& tag) { return LockTable::Held(tag); };
  CHECK(world("SET", "a", "1") == kOk);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("GET", "a") == Bulk("1"));
  CHECK(held(DatabaseTag(0)) == TxLockMode::kIS);
  CHECK(held(KeyTag(0, "a")) == TxLockMode::kS);
  CHECK(world("GETLOCK", "b") == kNull);
  CHECK(held(DatabaseTag(0)) == TxLockMode::kIX);
  CHECK(held(KeyTag(0, "b")) == TxLockMode::kX);
  CHECK(world("ROLLBACK") == kOk);
  CHECK(world("BEGIN") == kOk);
  CHECK(world("KEYS", "*") == Keys({"a"}));
  CHECK(held(DatabaseTag(0)) == TxLockMode::kS);
  CHECK(world("GET", "a") == Bulk("1"));
  CHECK(LockTable::HeldCount() == 1);  // the whole database is locked
  CHECK(world("SET", "a", "2") == kOk);
  CHECK(held(DatabaseTag(0)) == TxLockMode::kX);
  CHECK(LockTable::HeldCount() == 1);
  CHECK(world("COMMIT") == kOk);
  CHECK(world("BEGIN", "ISOLATION", "READ", "COMMITTED") == kOk);
  CHECK(world("GET", "a") == Bulk("2"));
  CHECK(world("KEYS", "*") == Keys({"a"}));
  CHECK(world("DBSIZE") == Integer(1));
  CHECK(LockTable::HeldCount() == 0);
  CHECK(world("SET", "a", "3") == kOk);
  CHECK(world("KEYS", "*") == Keys({"a"}));
  CHECK(LockTable::HeldCount() == 2);
  CHECK(world("ROLLBACK") == kOk);
  CHECK(LockTable::EntryCount() == 0);
}

TEST_CASE("transaction commands at the wrong moment say what is wrong and change nothing") {
  CommandWorld world;
  const auto clean = [&] {
    return LockTable::EntryCount() == 0 && !world.session().in_transaction();
  };
  for (const char* command : {"COMMIT", "ROLLBACK"}) {
    CHECK(world(command) == std::string("-ERR ") + command + " without BEGIN\r\n");
    CHECK(clean());
  }
  CHECK(Is(world("SAVEPOINT", "s"), "-ERR SAVEPOINT without BEGIN"));
  CHECK(Is(world("RELEASE", "s"), "-ERR RELEASE without BEGIN"));
  CHECK(Is(world("ROLLBACK", "TO", "s"), "-ERR ROLLBACK without BEGIN"));
  CHECK(Is(world("GETLOCK", "k"), "-ERR GETLOCK without BEGIN"));
  CHECK(clean());
  using Words = std::vector<std::string_view>;
  for (const Words& words :
       {Words{"BEGIN", "READ"}, Words{"BEGIN", "READ", "SOME"}, Words{"BEGIN", "ISOLATION"},
        Words{"BEGIN", "ISOLATION", "READ"}, Words{"BEGIN", "ISOLATION", "SNAPSHOT"},
        Words{"BEGIN", "READ", "ONLY", "READ", "WRITE"}, Words{"BEGIN", "WORK"}}) {
    CHECK(world.Run(words) == "-ERR syntax error\r\n");
    CHECK(clean());
  }
  CHECK(world("BEGIN", "ISOLATION", "SERIALIZABLE", "READ", "WRITE") == kOk);
  CHECK(world("SET", "a", "1") == kOk);
  CHECK(Is(world("BEGIN"), "-ERR 'begin' is not allowed inside a transaction: there is one"));
  CHECK(Is(world("CHECKPOINT"), "-ERR 'checkpoint' is not allowed inside a transaction: it waits"));
  CHECK(Is(world("CONFIG", "SET", "maxclients", "3"), "-ERR 'config|set' is not allowed inside"));
  CHECK(Is(world("SAVEPOINT"), "-ERR wrong number of arguments for 'savepoint' command"));
  CHECK(Is(world("ROLLBACK", "TO"), "-ERR syntax error"));
  CHECK(Is(world("ROLLBACK", "AT", "s"), "-ERR syntax error"));
  CHECK(Is(world("RELEASE", "a", "b"), "-ERR syntax error"));
  CHECK(Is(world("RELEASE", "s"), "-ERR no such savepoint 's'"));
  CHECK(Is(world("NOSUCH"), "-ERR unknown command"));
  CHECK(world("GET", "a") == Bulk("1"));  // none of these has harmed it
  CHECK(world("RESET") == "+RESET\r\n");
  CHECK(clean());
  CHECK(world("EXISTS", "a") == Integer(0));
}

TEST_CASE("what an error does to a transaction depends on its kind") {
  CommandWorld world;
  const auto fail = [&](ErrorCode code) {
    ReplyError(world.session(), {code, "made up"});
    return std::exchange(world.session().output(), {});
  };
  for (const ErrorCode code : {ErrorCode::kGeneric, ErrorCode::kBusy}) {
    CHECK(world("BEGIN") == kOk);
    CHECK(world("SET", "a", "1") == kOk);
    fail(code);
    CHECK(world("GET", "a") == Bulk("1"));
    CHECK(world("ROLLBACK") == kOk);
  }
  for (const ErrorCode code : {ErrorCode::kDeadlock, ErrorCode::kLockTimeout, ErrorCode::kNoSpace,
                               ErrorCode::kIo, ErrorCode::kCorrupt}) {
    for (const bool savepoint : {false, true}) {
      CAPTURE(static_cast<int>(code));
      CAPTURE(savepoint);
      CHECK(world("BEGIN") == kOk);
      CHECK(world("SET", "a", "1") == kOk);
      if (savepoint) CHECK(world("SAVEPOINT", "s") == kOk);
      CHECK(Is(fail(code), "-" + std::string(ErrorPrefix(code)) + " made up"));
      CHECK(Is(world("GET", "a"), "-ABORTED current transaction is aborted (" +
                                      std::string(ErrorPrefix(code)) + " made up), commands are"));
      const bool helped = savepoint && code != ErrorCode::kDeadlock;
      CHECK((LockTable::EntryCount() > 0) == helped);
      const std::string back = world("ROLLBACK", "TO", "s");
      if (helped) {
        CHECK(back == kOk);
        CHECK(world("COMMIT") == kOk);
        CHECK(world("DEL", "a") == Integer(1));
      } else {
        CHECK(Is(back, "-ABORTED"));
        CHECK(Is(world("COMMIT"), "-ABORTED"));
      }
      CHECK(world("EXISTS", "a") == Integer(0));
      CHECK(LockTable::EntryCount() == 0);
    }
  }
}

TEST_CASE("a batch that has to give way runs again from the start, with its replies cut off") {
  CommandWorld world;
  Session& session = world.session();
  int runs = 0;
  WantedLocks wanted;
  WantKey(0, "a", TxLockMode::kX, &wanted);
  const Status status = RunAsBatch(session, wanted, 0, [&]() -> Result<BatchEnd> {
    ++runs;
    session.reply().Integer(runs);
    REQUIRE(Put(session, 0, "a", std::to_string(runs), kNoExpiry).ok());
    if (runs < 3) return Error{ErrorCode::kDeadlock, "made up"};
    return BatchEnd::kCommit;
  });
  CHECK(status.ok());
  CHECK(std::exchange(session.output(), {}) == Integer(3));
  CHECK(world("GET", "a") == Bulk("3"));
  CHECK(LockTable::EntryCount() == 0);
}

TEST_CASE("a batch that is refused changes nothing and its reply stands") {
  CommandWorld world;
  Session& session = world.session();
  const Status refused = RunAsBatch(session, {}, 0, [&]() -> Result<BatchEnd> {
    session.reply().Null();
    REQUIRE(Put(session, 0, "a", "1", kNoExpiry).ok());
    return BatchEnd::kRollback;
  });
  CHECK(refused.ok());
  CHECK(std::exchange(session.output(), {}) == kNull);
  const Status failed = RunAsBatch(session, {}, 300, [&]() -> Result<BatchEnd> {
    session.reply().Ok();
    // Who writes on does so in vain.
    (void)Put(session, 0, "a", std::string(1000, 'v'), kNoExpiry);
    (void)Put(session, 0, "b", "1", kNoExpiry);
    return BatchEnd::kCommit;
  });
  CHECK(!failed.ok());
  CHECK(session.output().empty());
  CHECK(world("EXISTS", "a", "b") == Integer(0));
  CHECK(LockTable::EntryCount() == 0);
}

TEST_CASE("the locks of a batch follow from its arguments") {
  const auto wanted_of = [](std::vector<std::string_view> words) {
    const CommandInfo* container = nullptr;
    const CommandInfo* info = FindCommand(words, &container);
    REQUIRE(info != nullptr);
    WantedLocks wanted;
    CollectLocks(*info, words, 0, &wanted);
    std::string text;
    for (const WantedLock& lock : wanted) {
      text += std::string(lock.tag.name) + "@" + std::to_string(lock.tag.database) + ":" +
              std::string(TxLockModeName(lock.mode)) + " ";
    }
    return text;
  };
  CommandWorld world;
  CHECK(wanted_of({"MSET", "a", "1", "b", "2"}) == "@0:IX a@0:X b@0:X ");
  CHECK(wanted_of({"DEL", "a", "b", "c"}) == "@0:IX a@0:X b@0:X c@0:X ");
  CHECK(wanted_of({"RENAME", "a", "b"}) == "@0:IX a@0:X b@0:X ");
  CHECK(wanted_of({"COPY", "a", "b", "DB", "2"}) == "@0:IS a@0:S @2:IX b@2:X ");
  CHECK(wanted_of({"COPY", "a", "b", "DB", "x"}).empty());
  CHECK(wanted_of({"MOVE", "a", "1"}) == "@0:IX a@0:X @1:IX a@1:X ");
  CHECK(wanted_of({"FLUSHDB"}) == "@0:X ");
  CHECK(wanted_of({"FLUSHDB", "NOW"}).empty());
  CHECK(wanted_of({"FLUSHALL"}) == "@0:X @1:X @2:X @3:X ");
  CHECK(wanted_of({"MGET", "a", "b"}) == "@0:IS a@0:S b@0:S ");
  CHECK(wanted_of({"GET", "a"}) == "@0:IS a@0:S ");
  CHECK(wanted_of({"KEYS", "*"}) == "@0:S ");
  CHECK(wanted_of({"PING"}).empty());
}

TEST_CASE("every write command of several keys is a batch") {
  for (const CommandInfo& info : CommandTable()) {
    CAPTURE(info.name);
    const bool several = info.first_key != 0 && info.last_key != info.first_key;
    if ((info.flags & kWrite) != 0 && several) CHECK((info.flags & kBatch) != 0);
    // Inside and outside of MULTI the same is refused, or it is for one of them only.
    if (!info.not_in_transaction.empty()) CHECK(info.arity != 0);
  }
}

TEST_CASE("a session has its own lock timeouts until RESET") {
  CommandWorld world;
  CHECK(world("SESSION", "GET", "lock_timeout") == Bulk("0"));
  CHECK(world("SESSION", "SET", "lock_timeout", "250ms") == kOk);
  CHECK(world("SESSION", "SET", "deadlock_timeout", "2s") == kOk);
  CHECK(world("SESSION", "GET", "lock_timeout") == Bulk("250ms"));
  CHECK(world.session().lock_wait().timeout_ms == 250);
  CHECK(world.session().lock_wait().deadlock_timeout_ms == 2000);
  CHECK(Is(world("SESSION", "SET", "deadlock_timeout", "0"), "-ERR deadlock_timeout must be"));
  CHECK(Is(world("SESSION", "SET", "lock_timeout", "soon"), "-ERR lock_timeout must be a time"));
  CHECK(Is(world("SESSION", "SET", "port", "1"), "-ERR unknown session setting 'port'"));
  CHECK(world("SESSION", "SET", "lock_timeout", "default") == kOk);
  CHECK(world.session().lock_wait().timeout_ms == 0);
  CHECK(world("RESET") == "+RESET\r\n");
  CHECK(world.session().lock_wait().deadlock_timeout_ms == 100);
}

}  // namespace warren::test
