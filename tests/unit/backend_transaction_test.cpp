// What does an interactive transaction see, and what does it leave behind?
#include <doctest/doctest.h>

#include <string>

#include "shmem/lock_table.h"
#include "backend/transaction.h"
#include "tests/support/transaction_world.h"

namespace warren::test {

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

}  // namespace warren::test
