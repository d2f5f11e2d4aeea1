// Which locks do transactions and batches take, and what does an error do to them?
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "backend/batch.h"
#include "backend/keyspace.h"
#include "backend/transaction.h"
#include "shmem/lock_table.h"
#include "tests/support/transaction_world.h"

namespace warren::test {

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
