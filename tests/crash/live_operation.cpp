#include "tests/crash/live_operation.h"

#include <charconv>
#include <sstream>

namespace warren::test {
namespace {

constexpr LiveOperation kOperations[] = {
    {"set, new key", "", "SET live:v:a value"},
    {"set, another value", "SET live:v:a old", "SET live:v:a value"},
    {"set, a chain", "", "SET live:v:a @20000"},
    {"set, a chain for a chain", "SET live:v:a @30000", "SET live:v:a @20000"},
    {"append", "SET live:v:a old", "APPEND live:v:a more"},
    {"copy", "SET live:v:a old", "COPY live:v:a live:v:b"},
    {"decr", "SET live:v:a 5", "DECR live:v:a"},
    {"decrby", "SET live:v:a 5", "DECRBY live:v:a 3"},
    {"del", "SET live:v:a old", "DEL live:v:a"},
    {"del, chains", "SET live:v:a @30000;SET live:v:b @9000", "DEL live:v:a live:v:b"},
    {"expire", "SET live:v:a old", "EXPIRE live:v:a 1000"},
    {"expireat", "SET live:v:a old", "EXPIREAT live:v:a 9000000000"},
    {"flushdb", "SELECT 1;SET live:v:a there;SET live:v:b @9000;SELECT 0", "SELECT 1;FLUSHDB"},
    // Into the database that has no tree now.
    {"move", "SET live:v:a old", "MOVE live:v:a 1"},
    {"getdel", "SET live:v:a old", "GETDEL live:v:a"},
    {"getex", "SET live:v:a old", "GETEX live:v:a EX 1000"},
    {"getset", "SET live:v:a old", "GETSET live:v:a value"},
    {"incr", "", "INCR live:v:a"},
    {"incrby", "SET live:v:a 5", "INCRBY live:v:a 10"},
    {"incrbyfloat", "SET live:v:a 5", "INCRBYFLOAT live:v:a 0.5"},
    {"mset", "SET live:v:a old", "MSET live:v:a value live:v:b @9000 live:v:c third"},
    {"mset, splits", "",
     "MSET live:v:a @1900 live:v:b @1900 live:v:c @1900 live:v:d @1900 live:v:e @1900"},
    {"msetnx", "", "MSETNX live:v:a value live:v:b value"},
    {"persist", "SET live:v:a old EX 1000", "PERSIST live:v:a"},
    {"pexpire", "SET live:v:a old", "PEXPIRE live:v:a 1000000"},
    {"pexpireat", "SET live:v:a old", "PEXPIREAT live:v:a 9000000000000"},
    {"psetex", "", "PSETEX live:v:a 1000000 value"},
    {"rename", "SET live:v:a old;SET live:v:b other", "RENAME live:v:a live:v:b"},
    {"renamenx", "SET live:v:a @9000", "RENAMENX live:v:a live:v:b"},
    {"setex", "", "SETEX live:v:a 1000 value"},
    {"setnx", "", "SETNX live:v:a value"},
    {"setrange", "SET live:v:a old", "SETRANGE live:v:a 100 value"},
    {"setv", "SET live:v:a old", "SETV live:v:a $version value"},
    {"unlink", "SET live:v:a old", "UNLINK live:v:a"},
    {"multi", "SET live:v:a old", "MULTI;SET live:v:a value;SET live:v:b @3000;DEL live:v:c;EXEC"},
    {"begin", "SET live:v:a old;SET live:v:c old",
     "BEGIN;GETLOCK live:v:a;SET live:v:a value;SET live:v:b @9000;DEL live:v:c;COMMIT"},
    // Of these the sum and the neighbours' own checks say whether they were done wholly.
    {"a transfer", "", "BEGIN;DECRBY live:account1 7;INCRBY live:account4 7;COMMIT"},
    {"a change with a named lock", "",
     "LOCK live:name TIMEOUT 10000;SET live:v:a value;UNLOCK live:name"},
};

constexpr LiveRound kRounds[] = {
    {"warren: checkpointer", "CONFIG SET synchronous_commit on;SET live:v:a @20000", "CHECKPOINT"},
    // Expired keys, garbage, and a free end of the file.
    {"warren: vacuum",
     "SET live:v:b value PX 1;SET live:v:c @9000 PX 1;SET live:v:a @3000000;DEL live:v:a",
     "VACUUM"},
    // So that it finds work: else whoever commits has flushed the log.
    {"warren: wal writer",
     "CONFIG SET synchronous_commit off;CONFIG SET wal_writer_delay 1ms;SET live:v:a value", ""},
};

constexpr NotSwept kNotSwept[] = {
    {"flushall", "it would take the neighbours' keys; flushdb goes the same way"},
};

std::string Value(size_t bytes) {
  std::string value;
  while (value.size() < bytes) value += std::to_string(value.size()) + ' ';
  value.resize(bytes);
  return value;
}

}  // namespace

std::span<const LiveOperation> LiveOperations() { return kOperations; }
std::span<const LiveRound> LiveRounds() { return kRounds; }
std::span<const NotSwept> CommandsNotSwept() { return kNotSwept; }

std::vector<LiveWords> ParseCommands(std::string_view text, const std::string& version) {
  std::vector<LiveWords> commands;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line, ';');) {
    std::istringstream words(line);
    commands.emplace_back();
    for (std::string word; words >> word;) {
      if (word == "$version") word = version;
      if (word.starts_with('@')) word = Value(std::stoul(word.substr(1)));
      commands.back().push_back(word);
    }
  }
  return commands;
}

}  // namespace warren::test
