// Transactions of several clients against the running server: who waits for whom, what an end of
// any kind leaves behind.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/server_fixture.h"

namespace warren::test {
namespace {

// Sends a command and does not wait for its reply, which Receive fetches.
void Start(Connection& client, const std::vector<std::string>& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  client.SendRaw(bytes);
}

std::string IdOf(Connection& client) {
  return "id=" + std::to_string(client("CLIENT", "ID").integer) + " ";
}

// Does the client with this id ("id=5 ") wait for a lock?
bool WaitsForLock(Server& server, const std::string& id) {
  const auto is_waiting = [&] {
    const std::string list = server.Command("CLIENT", "LIST").text;
    const size_t from = list.find(id);
    if (from == std::string::npos) return false;
    return list.substr(from, list.find('\n', from) - from).find("wait=lock") != std::string::npos;
  };
  return WaitUntil(is_waiting);
}

// A client can have every database for itself: nobody holds or awaits any key or database.
bool NoLockIsLeft(Server& server) {
  const auto is_free = [&] {
    Connection client = server.Connect();
    client("SESSION", "SET", "lock_timeout", "1ms");
    client("BEGIN");
    return client("FLUSHALL").ok() && client("ROLLBACK").ok();
  };
  return WaitUntil(is_free);
}

}  // namespace

TEST_CASE("nobody sees a change before COMMIT and everybody sees all of it afterwards") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  CHECK(a("BEGIN").ok());
  CHECK(a("MSET", "x", "1", "y", "1").ok());
  CHECK(a("GET", "x").text == "1");
  CHECK(b("GET", "x").nil());
  CHECK(b("DBSIZE").integer == 0);
  CHECK(b("KEYS", "*").elements.empty());
  CHECK(a("COMMIT").ok());
  CHECK(b("MGET", "x", "y").elements[1].text == "1");
  CHECK(b("DBSIZE").integer == 2);
  server.Kill();
  server.Start();
  CHECK(server.Command("GET", "y").text == "1");
}

TEST_CASE("a single command waits for the transaction that has its key and then sees its end") {
  Server server;
  for (const bool commit : {true, false}) {
    CAPTURE(commit);
    Connection a = server.Connect(), b = server.Connect();
    const std::string waiter = IdOf(b);
    CHECK(server.Command("SET", "n", "1").ok());
    CHECK(a("BEGIN").ok());
    CHECK(a("INCRBY", "n", "10").integer == 11);
    Start(b, {"INCR", "n"});
    CHECK(WaitsForLock(server, waiter));
    CHECK(server.Command("GET", "n").text == "1");  // readers don't wait for who may roll back
    CHECK(a(commit ? "COMMIT" : "ROLLBACK").ok());
    CHECK(b.Receive().integer == (commit ? 12 : 2));
    CHECK(NoLockIsLeft(server));
  }
}

TEST_CASE("what a serializable transaction has read stays as it was until its end") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const std::string waiter = IdOf(b);
  CHECK(server.Command("SET", "k:1", "v").ok());
  CHECK(a("BEGIN").ok());
  CHECK(a("GET", "k:1").text == "v");
  CHECK(a("GET", "missing").nil());
  Start(b, {"SET", "missing", "there"});
  CHECK(WaitsForLock(server, waiter));
  CHECK(a("GET", "missing").nil());
  CHECK(a("COMMIT").ok());
  CHECK(b.Receive().ok());
  // A range: no key may come in between.
  CHECK(a("BEGIN").ok());
  CHECK(a("RANGE", "k", "l").elements.size() == 1);
  Start(b, {"SET", "k:2", "v"});
  CHECK(WaitsForLock(server, waiter));
  CHECK(a("RANGE", "k", "l").elements.size() == 1);
  CHECK(a("DBSIZE").integer == 2);
  CHECK(a("COMMIT").ok());
  CHECK(b.Receive().ok());
  CHECK(server.Command("DBSIZE").integer == 3);
}

TEST_CASE(
    "a read committed transaction sees others' commits and still has its own keys to itself") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const std::string waiter = IdOf(b);
  CHECK(a("BEGIN", "ISOLATION", "READ", "COMMITTED").ok());
  CHECK(a("GET", "k").nil());
  CHECK(b("SET", "k", "1").ok());
  CHECK(a("GET", "k").text == "1");
  CHECK(a("INCR", "k").integer == 2);
  Start(b, {"INCR", "k"});
  CHECK(WaitsForLock(server, waiter));
  CHECK(a("KEYS", "*").elements.size() == 1);
  CHECK(a("COMMIT").ok());
  CHECK(b.Receive().integer == 3);
}

TEST_CASE("GETLOCK keeps two clients from counting the same number up") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const std::string waiter = IdOf(b);
  CHECK(a("BEGIN").ok());
  CHECK(b("BEGIN").ok());
  CHECK(a("GETLOCK", "n").nil());
  Start(b, {"GETLOCK", "n"});
  CHECK(WaitsForLock(server, waiter));
  CHECK(a("SET", "n", "1").ok());
  CHECK(a("COMMIT").ok());
  CHECK(b.Receive().text == "1");
  CHECK(b("SET", "n", "2").ok());
  CHECK(b("COMMIT").ok());
  CHECK(server.Command("GET", "n").text == "2");
}

TEST_CASE("replies to earlier commands of a batch don't wait for a lock that a later one needs") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  CHECK(a("BEGIN").ok());
  CHECK(a("SET", "k", "a").ok());
  b.SendRaw(
      "*3\r\n$3\r\nSET\r\n$1\r\nj\r\n$1\r\n1\r\n"
      "*2\r\n$3\r\nGET\r\n$1\r\nj\r\n"
      "*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n"
      "*1\r\n$4\r\nPING\r\n");
  CHECK(b.ReceiveRaw(12) == "+OK\r\n$1\r\n1\r\n");
  CHECK(a("SET", "k", "41").ok());
  CHECK(a("COMMIT").ok());
  CHECK(b.Receive().integer == 42);
  CHECK(b.Receive().text == "PONG");
}

TEST_CASE("of SETs that come together, only those behind a locked key wait for its lock") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const std::string quarter_leaf(1900, 'q');
  for (int i = 0; i < 10; ++i) CHECK(a("SET", "k" + std::to_string(i), quarter_leaf).ok());
  CHECK(a("BEGIN").ok());
  CHECK(a("SET", "k4", "a").ok());
  std::string requests;
  for (int i = 0; i < 10; ++i) {
    requests += "*3\r\n$3\r\nSET\r\n$2\r\nk" + std::to_string(i) + "\r\n$1\r\nb\r\n";
  }
  b.SendRaw(requests);
  CHECK(b.ReceiveRaw(20) == "+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
  CHECK(b.ReceiveRaw(1, Milliseconds(100)).empty());
  CHECK(server.Command("GET", "k3").text == "b");
  CHECK(server.Command("GET", "k5").text == quarter_leaf);
  CHECK(a("COMMIT").ok());
  for (int i = 4; i < 10; ++i) CHECK(b.Receive().ok());
  for (int i = 0; i < 10; ++i) CHECK(b("GET", "k" + std::to_string(i)).text == "b");
}

TEST_CASE(
    "of two transactions that wait for each other the younger one is told so and can begin anew") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const std::string waiter = IdOf(a);
  CHECK(a("BEGIN").ok());
  CHECK(b("BEGIN").ok());
  CHECK(a("SET", "x", "a").ok());
  CHECK(b("SET", "y", "b").ok());
  CHECK(b("SAVEPOINT", "s").ok());
  Start(a, {"SET", "y", "a"});
  CHECK(WaitsForLock(server, waiter));
  CHECK(b("SET", "x", "b").is_error("DEADLOCK"));
  CHECK(a.Receive().ok());  // its locks are gone already
  CHECK(b("GET", "x").is_error("ABORTED"));
  CHECK(b("ROLLBACK", "TO", "s").is_error("ABORTED"));
  CHECK(b("BEGIN").is_error("ABORTED"));
  CHECK(b("PING").text == "PONG");
  CHECK(b("ROLLBACK").ok());
  CHECK(a("COMMIT").ok());
  CHECK(b("MGET", "x", "y").elements[1].text == "a");
  CHECK(NoLockIsLeft(server));
}

TEST_CASE("commands on several keys never answer DEADLOCK: they begin anew") {
  Server server;
  // Which of two keys a command locks first is its own affair; one of these is a circle.
  for (const std::string held : {"x", "y"}) {
    const std::string wanted = held == "x" ? "y" : "x";
    CAPTURE(held);
    Connection a = server.Connect(), b = server.Connect();
    const std::string waiter = IdOf(b);
    CHECK(a("BEGIN").ok());
    CHECK(a("SET", held, "a").ok());
    Start(b, {"MSET", "x", "b", "y", "b"});
    CHECK(WaitsForLock(server, waiter));
    CHECK(a("SET", wanted, "a").ok());  // the older one: the other gives way
    CHECK(a("COMMIT").ok());
    CHECK(b.Receive().ok());
    CHECK(server.Command("GET", held).text == "b");
    CHECK(server.Command("GET", wanted).text == "b");
    CHECK(NoLockIsLeft(server));
  }
  const Reply deadlocks = server.Command("STATS", "deadlocks");
  REQUIRE(deadlocks.elements.size() == 2);
  CHECK((deadlocks.elements[1].integer > 0 || deadlocks.elements[1].text > "0"));
}

TEST_CASE("a flush and a single command that wait for each other's keys both come to an end") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const std::string waiter = IdOf(b);
  CHECK(a("BEGIN").ok());
  CHECK(a("SET", "x", "a").ok());
  Start(b, {"SET", "x", "b"});  // has said that it writes in the database
  CHECK(WaitsForLock(server, waiter));
  CHECK(a("FLUSHDB").ok());
  CHECK(a("COMMIT").ok());
  CHECK(b.Receive().ok());
  CHECK(server.Command("GET", "x").text == "b");
  CHECK(NoLockIsLeft(server));
}

TEST_CASE("lock_timeout ends a wait with an error that a savepoint can mend") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  CHECK(a("BEGIN").ok());
  CHECK(a("SET", "k", "a").ok());
  CHECK(b("SESSION", "SET", "lock_timeout", "20ms").ok());
  CHECK(b("SET", "k", "b").is_error("LOCKTIMEOUT"));
  CHECK(b("MSET", "j", "b", "k", "b").is_error("LOCKTIMEOUT"));
  CHECK(b("FLUSHDB").is_error("LOCKTIMEOUT"));
  CHECK(b("BEGIN").ok());
  CHECK(b("SET", "j", "b").ok());
  CHECK(b("SAVEPOINT", "s").ok());
  CHECK(b("SET", "k", "b").is_error("LOCKTIMEOUT"));
  CHECK(b("GET", "j").is_error("ABORTED"));
  CHECK(b("ROLLBACK", "TO", "s").ok());
  CHECK(b("GET", "j").text == "b");
  CHECK(b("COMMIT").ok());
  CHECK(a("COMMIT").ok());
  CHECK(server.Command("MGET", "j", "k").elements[0].text == "b");
  CHECK(NoLockIsLeft(server));
}

TEST_CASE("an idle transaction is aborted after idle_in_transaction_timeout and others go on") {
  Server server({"--idle_in_transaction_timeout", "100ms"});
  Connection a = server.Connect(), b = server.Connect();
  CHECK(a("BEGIN").ok());
  CHECK(a("SET", "k", "a").ok());
  CHECK(a("SAVEPOINT", "s").ok());
  CHECK(b("SET", "k", "b").ok());  // once a has lost the key
  CHECK(a("GET", "k")
            .is_error("ABORTED current transaction is aborted (ERR it did nothing for longer than "
                      "idle_in_transaction_timeout, 100ms)"));
  CHECK(a("ROLLBACK", "TO", "s").is_error("ABORTED"));
  CHECK(a("COMMIT").is_error("ABORTED"));
  CHECK(a("GET", "k").text == "b");
  CHECK(NoLockIsLeft(server));
}

TEST_CASE("a client that has half a command under way is idle all the same") {
  Server server({"--idle_in_transaction_timeout", "100ms"});
  Connection a = server.Connect(), b = server.Connect();
  CHECK(a("BEGIN").ok());
  CHECK(a("SET", "k", "a").ok());
  a.SendRaw("*2\r\n$3\r\nGET\r\n$1\r\n");
  CHECK(b("SET", "k", "b").ok());
  a.SendRaw("k\r\n");
  CHECK(a.Receive().is_error("ABORTED"));
}

TEST_CASE("ROLLBACK leaves what is the connection's: the database that SELECT has chosen") {
  Server server;
  Connection a = server.Connect();
  CHECK(a("BEGIN").ok());
  CHECK(a("SELECT", "1").ok());
  CHECK(a("SET", "k", "undone").ok());
  CHECK(a("ROLLBACK").ok());
  CHECK(a("GET", "k").nil());
  CHECK(a("SET", "k", "v").ok());
  CHECK(a("SELECT", "0").ok());
  CHECK(a("GET", "k").nil());
}

TEST_CASE("a client that ends its half while it waits for a lock counts as gone") {
  Server server;
  Connection a = server.Connect(), b = server.Connect();
  const std::string id = IdOf(b);
  CHECK(a("BEGIN").ok());
  CHECK(a("SET", "k", "first").ok());
  Start(b, {"SET", "other", "before"});
  Start(b, {"SET", "k", "second"});
  REQUIRE(WaitsForLock(server, id));
  REQUIRE(shutdown(b.fd(), SHUT_WR) == 0);
  CHECK(b.ReceiveRaw(5) == "+OK\r\n");
  CHECK(b.ClosedByServer());
  CHECK(a("COMMIT").ok());
  CHECK(a("GET", "k").text == "first");
  CHECK(a("GET", "other").text == "before");
  CHECK(NoLockIsLeft(server));
}

TEST_CASE("however a session ends, its transaction is rolled back and its locks are gone") {
  Server server;
  const auto begin = [&](Connection& client) {
    CHECK(client("BEGIN").ok());
    CHECK(client("SET", "k", "lost").ok());
    CHECK(client("GET", "read").nil());
    CHECK(client("KEYS", "*").elements.size() == 1);
  };
  const auto check = [&](const char* how) {
    CAPTURE(how);
    CHECK(NoLockIsLeft(server));
    CHECK(server.Command("EXISTS", "k").integer == 0);
  };
  {
    Connection a = server.Connect();
    begin(a);
    CHECK(a("RESET").text == "RESET");
    check("RESET");
    CHECK(a("COMMIT").is_error("ERR COMMIT without BEGIN"));
  }
  {
    Connection a = server.Connect();
    begin(a);
    CHECK(a("QUIT").ok());
    check("QUIT");
  }
  {
    Connection a = server.Connect();
    begin(a);
    a.Close();
    check("closed");
  }
  {
    Connection a = server.Connect();
    begin(a);
    a.SendRaw("*1\r\n$x\r\n");
    CHECK(a.ClosedByServer());
    check("protocol error");
  }
  {
    Connection a = server.Connect();
    const std::string id = std::to_string(a("CLIENT", "ID").integer);
    begin(a);
    CHECK(server.Command("CLIENT", "KILL", "ID", id).integer == 1);
    CHECK(a.ClosedByServer());
    check("CLIENT KILL");
  }
  {
    Connection a = server.Connect();
    const pid_t pid = Server::BackendOf(a);
    begin(a);
    kill(pid, SIGTERM);
    CHECK(a.ClosedByServer());
    check("SIGTERM");
  }
}

TEST_CASE("a session that ends while it waits for a lock leaves none behind") {
  Server server;
  Connection a = server.Connect();
  CHECK(a("BEGIN").ok());
  CHECK(a("SET", "k", "a").ok());
  const std::vector<std::vector<std::string>> waits = {
      {"SET", "k", "b"}, {"MSET", "j", "b", "k", "b"}, {"FLUSHALL"}, {"GETLOCK", "k"}};
  for (const std::vector<std::string>& command : waits) {
    CAPTURE(command[0]);
    for (const bool kill_it : {true, false}) {
      Connection b = server.Connect();
      const std::string id = IdOf(b);
      if (command[0] == "GETLOCK") CHECK(b("BEGIN").ok());
      Start(b, command);
      REQUIRE(WaitsForLock(server, id));
      if (kill_it) {
        CHECK(server.Command("CLIENT", "KILL", "ID", id.substr(3, id.size() - 4)).integer == 1);
        CHECK(b.ClosedByServer());
      } else {
        b.Close();
      }
      CHECK(WaitUntil(
          [&] { return server.Command("CLIENT", "LIST").text.find(id) == std::string::npos; }));
    }
  }
  CHECK(a("SET", "j", "a").ok());
  CHECK(a("COMMIT").ok());
  CHECK(NoLockIsLeft(server));
}

TEST_CASE("a commit that can't be completed ends its process, and nobody sees a half of it") {
  Server server({"--fault_points", "yes"});
  Connection a = server.Connect(), b = server.Connect();
  CHECK(a("SET", "k", "value").ok());
  CHECK(b("FAULT", "SET", "commit_change", "error", "TIMES", "1", "AFTER", "1").ok());
  CHECK(a("MOVE", "k", "1").closed());
  CHECK(b("GET", "k").nil());
  CHECK(b("SELECT", "1").ok());
  CHECK(b("GET", "k").text == "value");
  CHECK(NoLockIsLeft(server));
  CHECK(server.LogContains("a commit cannot be completed"));
}

TEST_CASE("a fast shutdown ends transactions and waits, and keeps nothing of the former") {
  Server server;
  CHECK(server.Command("SET", "kept", "1").ok());
  Connection a = server.Connect(), b = server.Connect();
  const std::string waiter = IdOf(b);
  CHECK(a("BEGIN").ok());
  CHECK(a("SET", "k", "a").ok());
  Start(b, {"SET", "k", "b"});
  CHECK(WaitsForLock(server, waiter));
  CHECK(server.Stop() == 0);
  server.Start();
  CHECK(server.Command("GET", "kept").text == "1");
  // The one that waited may have got the lock of the one that ended before it was told to end, too.
  const Reply found = server.Command("GET", "k");
  CHECK((found.nil() || found.text == "b"));
  CHECK(server.Command("DBSIZE").integer == (found.nil() ? 1 : 2));
  CHECK(NoLockIsLeft(server));
}

TEST_CASE("commands at the wrong moment leave no lock, in any state of the session") {
  Server server;
  Connection a = server.Connect();
  const std::vector<std::vector<std::string>> wrong = {
      {"COMMIT", "now"},      {"ROLLBACK", "TO"},      {"ROLLBACK", "TO", "nowhere"},
      {"RELEASE", "nowhere"}, {"SAVEPOINT"},           {"BEGIN", "AGAIN"},
      {"CHECKPOINT"},         {"SHUTDOWN", "SOMEHOW"}, {"CONFIG", "SET", "port", "1"},
      {"INCRBY", "k", "x"},   {"MSET", "a"},           {"NOSUCH", "COMMAND"}};
  for (const std::vector<std::string>& words : wrong) {
    CAPTURE(words[0]);
    CHECK(a("BEGIN").ok());
    CHECK(a("SET", "k", "1").ok());
    CHECK(a.Send(words).is_error());
    CHECK(a("GET", "k").text == "1");
    CHECK(a("ROLLBACK").ok());
    CHECK(NoLockIsLeft(server));
    // Aborted: by a lock that somebody else has.
    Connection b = server.Connect();
    CHECK(b("BEGIN").ok());
    CHECK(b("SET", "held", "1").ok());
    CHECK(a("SESSION", "SET", "lock_timeout", "1ms").ok());
    CHECK(a("BEGIN").ok());
    CHECK(a("SET", "k", "1").ok());
    CHECK(a("SET", "held", "2").is_error("LOCKTIMEOUT"));
    CHECK(a.Send(words).is_error());
    CHECK(b("ROLLBACK").ok());
    CHECK(NoLockIsLeft(server));
    CHECK(a("ROLLBACK").ok());
    CHECK(NoLockIsLeft(server));
  }
}

TEST_CASE("the pool of locks runs out for one command and for nobody else") {
  Server server({"--max_locks", "256"});
  Connection a = server.Connect();
  CHECK(a("BEGIN").ok());
  int locked = 0;
  Reply reply;
  for (; locked < 2000; ++locked) {
    reply = a("SET", "k" + std::to_string(locked), "v");
    if (!reply.ok()) break;
  }
  CHECK(locked >= 128);
  CHECK(reply.is_error("BUSY"));
  CHECK(a("GET", "k0").text == "v");
  CHECK(server.Command("SET", "other", "1").ok());
  CHECK(a("COMMIT").ok());
  CHECK(server.Command("DBSIZE").integer == locked + 1);
  CHECK(NoLockIsLeft(server));
}

TEST_CASE("MGET, KEYS, DBSIZE, RANGE and SCAN without locks show no half of a transaction") {
  Server server({"--synchronous_commit", "off"});
  // Every transaction puts or removes all five keys of a set.
  constexpr int kSets = 2, kPipelined = 20;
  std::atomic<bool> stop = false;
  std::atomic<int> failures = 0;
  const auto write = [&](int set) {
    Connection client = server.Connect();
    std::vector<std::string> put{"MSET"}, remove{"DEL"};
    for (int i = 0; i < 5; ++i) {
      const std::string key = "s" + std::to_string(set) + ":" + std::to_string(i);
      put.insert(put.end(), {key, "v"});
      remove.push_back(key);
    }
    while (!stop) {
      for (int i = 0; i < kPipelined; ++i) {
        Start(client, put);
        Start(client, remove);
      }
      for (int i = 0; i < kPipelined; ++i) {
        if (!client.Receive().ok() || client.Receive().integer != 5) ++failures;
      }
    }
  };
  std::vector<std::thread> writers;
  for (int set = 0; set < kSets; ++set) writers.emplace_back(write, set);
  Connection reader = server.Connect(), inside = server.Connect();
  int seen_some = 0, halves = 0;
  const auto look = [&](size_t keys) {
    seen_some += keys > 0;
    halves += keys % 5 != 0;
  };
  // A set's keys again and again: few are read in no time, and no commit ever comes in between.
  std::vector<std::string> get_often{"MGET"};
  for (int i = 0; i < 1000; ++i) get_often.push_back("s0:" + std::to_string(i % 5));
  const auto look_at_all = [&](Connection& client) {
    const Reply values = client.Send(get_often);
    const auto missing = std::ranges::count_if(values.elements, &Reply::nil);
    look(values.elements.size() - static_cast<size_t>(missing));
    look(client("KEYS", "*").elements.size());
    look(static_cast<size_t>(client("DBSIZE").integer));
    look(client("RANGE", "-", "+").elements.size());
    look(client("SCAN", "0", "COUNT", "1000").elements.at(1).elements.size());
  };
  for (int round = 0; round < 10'000 && (round < 100 || seen_some < 500); ++round) {
    look_at_all(reader);
    CHECK(inside("BEGIN", "ISOLATION", "READ", "COMMITTED").ok());
    look_at_all(inside);
    CHECK(inside("COMMIT").ok());
    CHECK(inside("BEGIN", "READ", "ONLY").ok());
    const size_t count = static_cast<size_t>(inside("DBSIZE").integer);
    look(count);
    CHECK(inside("KEYS", "*").elements.size() == count);
    CHECK(inside("COMMIT").ok());
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  CHECK(failures == 0);
  CHECK(seen_some >= 500);
  CHECK(halves == 0);
  CHECK(server.Command("DBSIZE").integer == 0);
  CHECK(NoLockIsLeft(server));
}

TEST_CASE("transfers of many clients keep the sum, as every scan of it sees") {
  Server server({"--deadlock_timeout", "10ms"});
  constexpr int kAccounts = 8, kClients = 4, kRounds = 100;
  for (int i = 0; i < kAccounts; ++i)
    CHECK(server.Command("SET", "acc:" + std::to_string(i), "100").ok());
  std::vector<Connection> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(server.Connect());
  Connection reader = server.Connect();
  const auto sum = [&] {
    int64_t total = 0;
    const Reply range = reader("RANGE", "acc:", "acc;", "WITHVALUES");
    for (size_t i = 1; i < range.elements.size(); i += 2)
      total += std::stoll(range.elements[i].text);
    return total;
  };
  for (int round = 0; round < kRounds; ++round) {
    // All at once, each in an order of its own: some wait, some are aborted.
    for (int c = 0; c < kClients; ++c) {
      Connection& client = clients[static_cast<size_t>(c)];
      const int from = (round * 3 + c) % kAccounts, to = (round + c * 5 + 1) % kAccounts;
      for (const auto& words :
           std::vector<std::vector<std::string>>{{"BEGIN"},
                                                 {"DECRBY", "acc:" + std::to_string(from), "7"},
                                                 {"INCRBY", "acc:" + std::to_string(to), "7"},
                                                 {"COMMIT"},
                                                 {"RESET"}}) {
        Start(client, words);
      }
    }
    CHECK(sum() == kAccounts * 100);
    for (Connection& client : clients) {
      for (int i = 0; i < 5; ++i) CHECK(!client.Receive().closed());
    }
  }
  CHECK(sum() == kAccounts * 100);
  CHECK(NoLockIsLeft(server));
}

}  // namespace warren::test
