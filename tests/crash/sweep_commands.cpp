#include "tests/crash/sweep_commands.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "backend/session.h"

namespace warren::test {
namespace {

// A few keys of every kind, in all commands' databases.
const std::vector<std::string> kFurniture = {
    "SET a 1", "SET b two", "SET c $M", "SET large $L", "SET expiring v EX 100000", "SET n 41",
};

// A command as BackendMain runs it: its reply may leave when the change is durable.
std::string RunLine(Session& session, const std::string& line) {
  const std::vector<std::string> words = WordsOf(line);
  const std::vector<std::string_view> views(words.begin(), words.end());
  session.BeginBatch();
  session.Execute(views);
  session.MakeDurable();
  return std::exchange(session.output(), {});
}

void MustRun(Session& session, const std::string& line) {
  const std::string reply = RunLine(session, line);
  if (!reply.starts_with("-")) return;
  std::fprintf(stderr, "sweep: %s: %s", line.c_str(), reply.c_str());
  std::abort();
}

// Of the process of slot 1.
std::unique_ptr<Session> g_session;

void RunAsAnother(const std::vector<std::string>& lines) {
  Session session(-1);
  session.set_authenticated(true);
  for (const std::string& line : lines) MustRun(session, line);
}

}  // namespace

std::vector<std::string> WordsOf(const std::string& line) {
  std::vector<std::string> words;
  size_t at = 0;
  while (at < line.size()) {
    const size_t end = std::min(line.find(' ', at), line.size());
    std::string word = line.substr(at, end - at);
    if (word == "$L") word = std::string(20'000, 'L');
    if (word == "$M") word = std::string(1900, 'M');
    words.push_back(std::move(word));
    at = end + 1;
  }
  return words;
}

void MakeFurniture() { RunAsAnother(kFurniture); }

const std::vector<CommandSweep>& CommandSweeps() {
  static const std::vector<CommandSweep> sweeps = {
      {"append", "", {}, {}, "APPEND a xyz"},
      {"append", "to a chain", {}, {}, "APPEND large xyz"},
      {"copy", "", {}, {}, "COPY a copied"},
      {"copy", "a chain over a chain", {"SET other $L EX 7000"}, {}, "COPY large other REPLACE"},
      {"decr", "", {}, {}, "DECR n"},
      {"decrby", "", {}, {}, "DECRBY n 5"},
      {"del", "", {}, {}, "DEL a"},
      {"del", "several, one with a chain", {}, {}, "DEL a large b nothing"},
      {"expire", "", {}, {}, "EXPIRE a 1000"},
      {"expireat", "", {}, {}, "EXPIREAT a 99999999999"},
      {"flushall", "", {}, {}, "FLUSHALL"},
      {"del",
       "the last key of a leaf",
       {"SET d1 $M", "SET d2 $M", "SET d3 $M", "SET d4 $M", "DEL d2"},
       {},
       "DEL d1"},
      {"flushdb", "", {}, {}, "FLUSHDB"},
      {"get",
       "a key whose time has come",
       {"SET expired v PX 1"},
       {"DEBUG SLEEP 0.01"},
       "GET expired"},
      {"getdel", "", {}, {}, "GETDEL large"},
      {"getex", "", {}, {}, "GETEX a EX 1000"},
      {"getlock", "", {}, {"BEGIN"}, "GETLOCK a", Effect::kNone},
      {"getset", "", {}, {}, "GETSET a new"},
      {"incr", "", {}, {}, "INCR n"},
      {"incr", "of a new key", {}, {}, "INCR fresh"},
      {"incrby", "", {}, {}, "INCRBY n 5"},
      {"incrbyfloat", "", {}, {}, "INCRBYFLOAT n 0.5"},
      {"move", "", {}, {}, "MOVE a 1"},
      {"mset", "", {}, {}, "MSET a 2 b 3 fresh 4"},
      {"mset",
       "into several leaves",
       {"SET m1 $M", "SET m2 $M", "SET m3 $M", "SET m4 $M", "SET m5 $M", "SET m6 $M",
        "MGET m1 m2 m3 m4 m5 m6"},
       {},
       "MSET m1 x m3 $M m6 y"},
      {"mset", "with a chain", {}, {}, "MSET a $L b 3"},
      {"msetnx", "", {}, {}, "MSETNX x 2 y 3"},
      {"persist", "", {}, {}, "PERSIST expiring"},
      {"pexpire", "", {}, {}, "PEXPIRE a 1000000"},
      {"pexpireat", "", {}, {}, "PEXPIREAT a 9999999999999"},
      {"psetex", "", {}, {}, "PSETEX a 1000000 v"},
      {"rename", "", {}, {}, "RENAME a renamed"},
      {"rename", "a chain over a key", {}, {}, "RENAME large a"},
      {"renamenx", "", {}, {}, "RENAMENX a renamed"},
      {"set", "", {}, {}, "SET a changed"},
      {"set", "after another change", {}, {"SET b three"}, "SET a changed"},
      {"set", "a new key", {}, {}, "SET fresh v"},
      {"set", "a chain", {}, {}, "SET a $L"},
      {"set", "a chain over a chain", {}, {}, "SET large $L EX 5000"},
      {"set", "with an expiry", {}, {}, "SET a v EX 1000"},
      {"set", "the first key of a database", {}, {"SELECT 2"}, "SET a v"},
      {"set", "a leaf that splits", {"SET a1 $M", "SET a2 $M", "SET a3 $M"}, {}, "SET a4 $M"},
      {"setex", "", {}, {}, "SETEX a 1000 v"},
      {"setnx", "", {}, {}, "SETNX fresh v"},
      {"setrange", "", {}, {}, "SETRANGE b 2 xyz"},
      {"setv", "", {}, {}, "SETV fresh 0 v"},
      {"unlink", "", {}, {}, "UNLINK large"},
      // Transactions.
      {"begin", "", {}, {}, "BEGIN", Effect::kNone},
      {"commit", "", {}, {"BEGIN", "SET a 2", "DEL b", "SET fresh v", "EXPIRE c 1000"}, "COMMIT"},
      {"commit", "of one change", {}, {"BEGIN", "INCR n"}, "COMMIT"},
      {"commit", "with chains", {}, {"BEGIN", "SET a $L", "DEL large", "SET fresh $L"}, "COMMIT"},
      {"commit",
       "in two databases",
       {},
       {"BEGIN", "SET a 2", "MOVE b 1", "FLUSHDB", "SET fresh v"},
       "COMMIT"},
      {"exec", "", {}, {"MULTI", "SET a 2", "INCR n", "DEL b"}, "EXEC"},
      {"exec", "with a watched key", {}, {"WATCH a", "MULTI", "SET a 2", "SET b 3"}, "EXEC"},
      {"rollback", "", {}, {"BEGIN", "SET a 2", "GET b"}, "ROLLBACK", Effect::kNone},
      {"reset", "", {}, {"BEGIN", "SET a 2", "LOCK name"}, "RESET", Effect::kNone},
      // Advisory locks.
      {"lock", "", {}, {}, "LOCK name", Effect::kNone},
      {"lock", "of a transaction", {}, {"BEGIN"}, "LOCK name TRANSACTION", Effect::kNone},
      {"trylock", "", {}, {}, "TRYLOCK name TTL 100000", Effect::kNone},
      {"unlock", "", {}, {"LOCK name"}, "UNLOCK name", Effect::kNone},
  };
  return sweeps;
}

Operation MakeOperation(const CommandSweep& sweep) {
  Operation operation;
  operation.name = sweep.variant.empty() ? sweep.name : sweep.name + ": " + sweep.variant;
  operation.effect = sweep.effect;
  operation.set_up = [before = sweep.before] {
    MakeFurniture();
    RunAsAnother(before);
  };
  operation.prepare = [prepare = sweep.prepare] {
    g_session = std::make_unique<Session>(-1);
    g_session->set_authenticated(true);
    for (const std::string& line : prepare) MustRun(*g_session, line);
  };
  operation.run = [command = sweep.command] { MustRun(*g_session, command); };
  return operation;
}

}  // namespace warren::test
