// What do savepoints take back, and what does a transaction that is too large do?
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "backend/transaction.h"
#include "shmem/lock_table.h"
#include "tests/support/transaction_world.h"

namespace warren::test {

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

}  // namespace warren::test
