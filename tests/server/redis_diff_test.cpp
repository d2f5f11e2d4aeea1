// Does Warren answer as Redis does? Both are sent the same commands, and the bytes of the replies
// are compared. Skipped where no redis-server is installed. Left out is what may differ: times that
// pass while the test runs, and the order in which Redis happens to keep its keys.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/server/redis_scripts.h"
#include "tests/server/redis_server.h"
#include "tests/server/server_fixture.h"
#include "tests/support/test_extent.h"

namespace warren::test {
namespace {

using Words = std::vector<std::string>;

// A connection whose replies are taken as they come, byte by byte.
class RawClient {
 public:
  explicit RawClient(Connection connection) : connection_(std::move(connection)) {}

  std::string operator()(const Words& words) {
    connection_.SendRaw(RequestOf(words));
    return TakeReplies(1);
  }
  // All are sent together.
  std::string operator()(const std::vector<Words>& commands) {
    std::string requests;
    for (const Words& words : commands) requests += RequestOf(words);
    connection_.SendRaw(requests);
    return TakeReplies(commands.size());
  }

 private:
  static std::string RequestOf(const Words& words) {
    std::string request = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) {
      request += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    }
    return request;
  }

  std::string TakeReplies(size_t count) {
    size_t end = 0;
    for (size_t i = 0; i < count; ++i) end = EndOfReply(end);
    std::string replies = received_.substr(0, end);
    received_.erase(0, end);
    return replies;
  }

  void ReceiveMore() {
    pollfd ready{.fd = connection_.fd(), .events = POLLIN, .revents = 0};
    REQUIRE(poll(&ready, 1, static_cast<int>(kPatience.count())) == 1);
    char buffer[65536];
    const ssize_t n = recv(connection_.fd(), buffer, sizeof(buffer), 0);
    REQUIRE_MESSAGE(n > 0, "connection closed within a reply: " << received_);
    received_.append(buffer, static_cast<size_t>(n));
  }

  size_t EndOfLine(size_t at) {
    size_t end;
    while ((end = received_.find("\r\n", at)) == std::string::npos) ReceiveMore();
    return end + 2;
  }

  // Where the reply that begins at `at` ends, received in full.
  size_t EndOfReply(size_t at) {
    size_t end = EndOfLine(at);
    const char type = received_[at];
    if (std::string_view("$=*~%>").find(type) == std::string_view::npos) return end;
    const long long count = std::atoll(received_.c_str() + at + 1);
    if (count < 0) return end;
    if (type == '$' || type == '=') {
      end += static_cast<size_t>(count) + 2;
      while (received_.size() < end) ReceiveMore();
      return end;
    }
    for (long long i = 0; i < (type == '%' ? 2 * count : count); ++i) end = EndOfReply(end);
    return end;
  }

  Connection connection_;
  std::string received_;
};

std::string SortedLines(const std::string& reply) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < reply.size();) {
    const size_t end = std::min(reply.find("\r\n", at), reply.size());
    lines.push_back(reply.substr(at, end - at));
    at = end + 2;
  }
  std::sort(lines.begin(), lines.end());
  std::string sorted;
  for (const std::string& line : lines) sorted += line + "\n";
  return sorted;
}

std::string Printable(const Words& words) {
  std::string text;
  for (const std::string& word : words) {
    text += text.empty() ? "" : " ";
    for (char c : word.substr(0, 80)) {
      char escaped[8];
      snprintf(escaped, sizeof(escaped), c >= ' ' && c <= '~' ? "%c" : "\\x%02x",
               static_cast<unsigned char>(c));
      text += escaped;
    }
  }
  return text;
}

// Both servers, each with two clients.
class Pair {
 public:
  explicit Pair(const std::string& redis_program)
      : redis_server_(redis_program), warren_server_({"--max_value_size", kRedisMaxValueBytes}) {
    for (int i = 0; i < 2; ++i) {
      redis_.emplace_back(redis_server_.Connect());
      warren_.emplace_back(warren_server_.Connect());
    }
  }

  // Sends without comparing.
  void Prepare(const Words& words) {
    for (const size_t client : {size_t{0}, size_t{1}}) {
      redis_[client](words);
      warren_[client](words);
    }
  }

  void Compare(const Words& words, bool in_any_order = false, size_t client = 0) {
    std::string expected = redis_[client](words), found = warren_[client](words);
    if (in_any_order) {
      expected = SortedLines(expected);
      found = SortedLines(found);
    }
    Check(words, expected, found);
  }

  // Sent together; the replies.
  void ComparePipeline(const std::vector<Words>& commands) {
    const std::string expected = redis_[0](commands), found = warren_[0](commands);
    CAPTURE(commands.size());
    Check(commands.front(), expected, found);
  }

  int64_t WarrenCounter(const std::string& name) {
    return warren_server_.Command("STATS", name).elements.at(1).integer;
  }

  // The reply, if both give the same one.
  std::string CompareOf(size_t client, const Words& words) {
    const std::string expected = redis_[client](words), found = warren_[client](words);
    Check(words, expected, found);
    return expected;
  }

  // EXEC, of commands that were `queued`. Warren may take a watched key for changed that was not;
  // then it has to do the same without watching. Was it so?
  bool CompareExec(size_t client, const std::vector<Words>& queued) {
    const std::string expected = redis_[client]({"EXEC"});
    std::string found = warren_[client]({"EXEC"});
    const bool null = found == "*-1\r\n" || found == "_\r\n";
    const bool false_alarm = null && expected != found && expected.starts_with('*');
    if (false_alarm) {
      warren_[client]({"MULTI"});
      for (const Words& words : queued) warren_[client](words);
      found = warren_[client]({"EXEC"});
    }
    Check({"EXEC"}, expected, found);
    return false_alarm;
  }

 private:
  static void Check(const Words& words, const std::string& expected, const std::string& found) {
    CHECK_MESSAGE(found == expected, "command: " << Printable(words)
                                                 << "\nredis:  " << Printable({expected})
                                                 << "\nwarren: " << Printable({found}));
  }

  RedisServer redis_server_;
  Server warren_server_;
  std::vector<RawClient> redis_;
  std::vector<RawClient> warren_;
};

constexpr std::string_view kRandomKeys[] = {"a", "b", "c", "", {"\0k", 2}};

// A random command of few keys, so that commands meet; times only such that are long past or far
// away.
class RandomCommands {
 public:
  explicit RandomCommands(uint32_t seed) : random_(seed) {}

  Words Next() {
    Words words = Split(Pick(kRandomCommands));
    for (std::string& word : words) {
      if (word == "KEY") word = Key();
      if (word == "VALUE") word = Pick(kRandomValues);
      if (word == "LONG") word.assign(2500, 'l');
      if (word == "LONGER") word.assign(20'000, 'L');
      if (word == "NUMBER") word = Pick(kRandomNumbers);
      if (word == "TIME") word = Pick(kRandomTimes);
    }
    return words;
  }
  std::string Key() { return Pick(kRandomKeys); }

 private:
  std::string Pick(std::span<const std::string_view> from) {
    return std::string(from[random_() % from.size()]);
  }

  std::mt19937 random_;
};

// Two clients that queue, watch and change the same few keys, one step after the other.
class RandomTransactions {
 public:
  RandomTransactions(Pair& pair, uint32_t seed)
      : pair_(pair), random_(seed), commands_(static_cast<uint32_t>(random_())) {}

  void Step() {
    const size_t client = random_() % 2;
    clients_[client].open ? StepInside(client) : StepOutside(client);
  }

  int executed = 0;
  int false_alarms = 0;

 private:
  struct Client {
    bool open = false;
    std::vector<Words> queued;
  };

  bool Chance(uint32_t percent) { return random_() % 100 < percent; }

  void StepOutside(size_t client) {
    if (Chance(20)) {
      pair_.CompareOf(client, {"MULTI"});
      clients_[client].open = true;
    } else if (Chance(20)) {
      pair_.CompareOf(client, {"WATCH", commands_.Key(), commands_.Key()});
    } else if (Chance(5)) {
      pair_.CompareOf(client, Chance(50) ? Words{"UNWATCH"} : Words{"EXEC"});
    } else if (Chance(2)) {
      pair_.CompareOf(client, {"FLUSHDB"});
    } else {
      pair_.CompareOf(client, Command());
    }
  }

  void StepInside(size_t client) {
    if (Chance(15)) {
      if (pair_.CompareExec(client, clients_[client].queued)) ++false_alarms;
      ++executed;
      clients_[client] = {};
    } else if (Chance(3)) {
      pair_.CompareOf(client, {"DISCARD"});
      clients_[client] = {};
    } else if (Chance(3)) {
      pair_.CompareOf(client, Chance(50) ? Words{"WATCH", "a"} : Words{"MULTI"});
    } else if (Chance(1)) {
      pair_.CompareOf(client, Chance(50) ? Words{"GET"} : Words{"NOSUCH", "a"});
    } else {
      Words command = Command();
      const std::string reply = pair_.CompareOf(client, command);
      if (reply == "+QUEUED\r\n") clients_[client].queued.push_back(std::move(command));
    }
  }

  // Redis takes a key that is set only to expire at once for changed, even if there was none.
  Words Command() {
    for (;;) {
      Words words = commands_.Next();
      if (words[0] != "SET" || words.size() < 4 || !words[3].ends_with("XAT")) return words;
    }
  }

  Pair& pair_;
  std::mt19937 random_;
  RandomCommands commands_;
  Client clients_[2];
};

using FlagsOfCommands = std::map<std::string, std::set<std::string>>;

void AddFlags(const Reply& described, FlagsOfCommands* flags) {
  for (const Reply& command : described.elements) {
    std::set<std::string>& names = (*flags)[command.elements.at(0).text];
    for (const Reply& flag : command.elements.at(2).elements) names.insert(flag.text);
    AddFlags(command.elements.at(9), flags);
  }
}

FlagsOfCommands FlagsOf(Connection connection) {
  FlagsOfCommands flags;
  AddFlags(connection("COMMAND"), &flags);
  return flags;
}

}  // namespace

TEST_CASE("commands that Redis has, too, show its flags") {
  const auto program = RedisOrSkip();
  if (!program) return;
  const RedisServer redis_server(*program);
  const Server warren_server;
  FlagsOfCommands redis = FlagsOf(redis_server.Connect());
  // In the middle of EXEC the first would cut its reply short, the second wait for the other
  // backends, of which one may wait for EXEC's locks.
  redis["client|reply"].insert("no_multi");
  redis["config|set"].insert("no_multi");
  // Says who else there is; removes nothing.
  redis["role"].insert("admin");
  redis["function|flush"].erase("write");
  size_t compared = 0;
  for (const auto& command : FlagsOf(warren_server.Connect())) {
    const std::string& name = command.first;
    CAPTURE(name);
    if (!redis.contains(name)) continue;
    CHECK(command.second == redis[name]);
    ++compared;
  }
  CHECK(compared > 80);
}

TEST_CASE("every scripted command is answered byte by byte as Redis answers it") {
  const auto program = RedisOrSkip();
  if (!program) return;
  Pair pair(*program);
  const std::vector<Script> scripts = LoadScripts();
  REQUIRE(!scripts.empty());
  for (const char* version : {"2", "3"}) {
    CAPTURE(version);
    pair.Prepare({"HELLO", version});
    for (const Script& script : scripts) {
      CAPTURE(script.name);
      pair.Prepare({"FLUSHALL"});
      pair.Prepare({"SELECT", "0"});
      for (std::string_view line : script.lines) {
        const bool second = line.starts_with("2>");
        if (second) line.remove_prefix(2);
        const bool in_any_order = line.starts_with('~');
        pair.Compare(Split(in_any_order ? line.substr(1) : line), in_any_order, second ? 1 : 0);
      }
    }
  }
}

TEST_CASE("random commands are answered byte by byte as Redis answers them") {
  const auto program = RedisOrSkip();
  if (!program) return;
  const auto seed = static_cast<uint32_t>(TestSeed());
  CAPTURE(seed);
  Pair pair(*program);
  RandomCommands commands(seed);
  for (int i = 0; i < 20'000; ++i) pair.Compare(commands.Next());
}

// SETs that follow each other are done together as far as their keys lie in different leaves.
TEST_CASE(
    "random commands that are sent together are answered byte by byte as Redis answers them") {
  const auto program = RedisOrSkip();
  if (!program) return;
  const auto seed = static_cast<uint32_t>(TestSeed());
  CAPTURE(seed);
  Pair pair(*program);
  RandomCommands commands(seed);
  std::mt19937 random(seed);
  const auto far_key = [&] { return "far:" + std::to_string(random() % 40); };
  const std::string quarter_leaf(1900, 'q');
  for (int i = 0; i < 40; ++i) pair.Prepare({"SET", "far:" + std::to_string(i), quarter_leaf});
  int64_t sets = 0, changes = 0;
  for (int round = 0; round < 800; ++round) {
    const int64_t before = pair.WarrenCounter("mini_transactions");
    std::vector<Words> together;
    const bool sets_only = round % 2 == 0;
    for (size_t n = 1 + random() % 40; n > 0; --n) {
      const bool set = sets_only || random() % 4 != 0;
      const std::string value = random() % 5 == 0 ? quarter_leaf : std::to_string(random());
      together.push_back(set ? Words{random() % 2 == 0 ? "SET" : "set", far_key(), value}
                         : random() % 2 == 0 ? Words{"GET", far_key()}
                                             : commands.Next());
    }
    pair.ComparePipeline(together);
    if (!sets_only) continue;
    sets += static_cast<int64_t>(together.size());
    changes += pair.WarrenCounter("mini_transactions") - before;
  }
  CHECK(changes < sets / 2);
  // Redis counts a key whose time has come until somebody looks for it.
  for (const std::string_view key : kRandomKeys) pair.Compare({"EXISTS", std::string(key)});
  pair.Compare({"DBSIZE"});
  for (int i = 0; i < 40; ++i) pair.Compare({"GET", "far:" + std::to_string(i)});
}

TEST_CASE("random transactions of two clients are answered byte by byte as Redis answers them") {
  const auto program = RedisOrSkip();
  if (!program) return;
  const auto seed = static_cast<uint32_t>(TestSeed());
  CAPTURE(seed);
  Pair pair(*program);
  pair.Prepare({"HELLO", seed % 2 == 0 ? "2" : "3"});
  RandomTransactions transactions(pair, seed);
  for (int i = 0; i < 20'000; ++i) transactions.Step();
  CHECK(transactions.executed > 500);
  CHECK(transactions.false_alarms * 5 < transactions.executed);
}

}  // namespace warren::test
