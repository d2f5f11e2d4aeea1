#include "tests/crash/torture_client.h"

#include <fmt/format.h>

#include <algorithm>

namespace warren::test {
namespace {

constexpr int kClientsInDatabase0 = 8;
constexpr uint64_t kKeys = 150;

// How values that differ are shown: their beginning says of which write they are.
std::string Shown(const std::map<std::string, std::string>& state, const std::string& key) {
  const auto at = state.find(key);
  if (at == state.end()) return "nothing";
  return fmt::format("{} bytes \"{}...\"", at->second.size(), at->second.substr(0, 40));
}

std::string FirstDifference(const std::map<std::string, std::string>& expected,
                            const std::map<std::string, std::string>& found) {
  for (const auto& [key, value] : expected) {
    const auto at = found.find(key);
    if (at != found.end() && at->second == value) continue;
    return fmt::format("key {}: expected {}, found {}", key, Shown(expected, key),
                       Shown(found, key));
  }
  for (const auto& [key, value] : found) {
    if (!expected.contains(key)) return fmt::format("key {}: found {}", key, Shown(found, key));
  }
  return "no difference";
}

std::string ShownReply(const Reply& reply) {
  return reply.type == Reply::kInteger ? std::to_string(reply.integer) : reply.text;
}

}  // namespace

std::string SharedCounter(int i) { return fmt::format("counter:{}", i); }

TortureClient::TortureClient(int number, uint64_t seed)
    : number_(number), random_(seed * 1000 + static_cast<uint64_t>(number)) {}

std::string TortureClient::RandomKey() { return fmt::format("c{}:{}", number_, random_() % kKeys); }

// Says whose it is and of which write, at both ends and all through.
std::string TortureClient::NewValue(const std::string& key, size_t bytes) {
  const std::string mark = fmt::format("[{} {}]", key, ++sequence_);
  std::string value;
  while (value.size() < bytes) value += mark;
  return value + mark;
}

TortureClient::Words TortureClient::RandomWrite() {
  const std::string key = RandomKey();
  const uint64_t kind = random_() % 100;
  if (kind < 45) return {"SET", key, NewValue(key, random_() % 300)};
  if (kind < 53) return {"SET", key, NewValue(key, 2000 + random_() % 30'000)};
  if (kind < 60) return {"SET", key, NewValue(key, random_() % 2000), "EX", "1000000"};
  if (kind < 70) return {"APPEND", key, NewValue(key, random_() % 200)};
  if (kind < 88) return {"DEL", key};
  // Of no account but for the work it makes: gone at a time that nobody knows.
  if (kind < 92) return {"SET", fmt::format("e{}", key), NewValue(key, 100), "PX", "200"};
  if (kind == 99 && number_ >= kClientsInDatabase0) return {"FLUSHDB"};
  // Where the server has one database alone for this client, its counters are not the shared ones.
  if (number_ >= kClientsInDatabase0) return {"DEL", key};
  return {"INCR", SharedCounter(static_cast<int>(random_() % kSharedCounters))};
}

std::string TortureClient::Apply(const Words& write, State& state) {
  const std::string& command = write[0];
  if (command == "FLUSHDB") {
    state.clear();
    return "OK";
  }
  if (command == "INCR") return "";  // others increment it, too
  const std::string& key = write[1];
  if (key.starts_with("e")) return "OK";
  if (command == "DEL") return std::to_string(state.erase(key));
  if (command == "SET") {
    state[key] = write[2];
    return "OK";
  }
  return std::to_string((state[key] += write[2]).size());
}

// What went wrong, or nothing: also when the connection broke.
std::string TortureClient::RunBatch(Connection& connection, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    unacknowledged_.push_back(RandomWrite());
    connection.Append(unacknowledged_.back());
  }
  while (!unacknowledged_.empty()) {
    const Reply reply = connection.Receive();
    if (reply.closed() || reply.is_error("ERR the connection is being closed")) return "";
    const Words& write = unacknowledged_.front();
    const std::string expected = Apply(write, acknowledged_);
    const bool is_increment = write[0] == "INCR";
    if (reply.is_error() || (!is_increment && ShownReply(reply) != expected)) {
      return fmt::format("{} {}: expected {}, found {}", write[0],
                         write.size() > 1 ? write[1] : std::string(), expected, ShownReply(reply));
    }
    if (is_increment) ++acknowledged_increments_;
    ++acknowledged_writes_;
    unacknowledged_.pop_front();
  }
  return "";
}

Connection TortureClient::ConnectToOwnDatabase(const Server& server) const {
  Connection connection = server.Connect();
  const int database = std::max(0, number_ - kClientsInDatabase0 + 1);
  if (!connection.open() || !connection("SELECT", std::to_string(database)).ok()) return {};
  return connection;
}

std::string TortureClient::Work(const Server& server, const std::atomic<bool>& stop) {
  Connection connection = ConnectToOwnDatabase(server);
  while (connection.open() && !stop) {
    const std::string failure = RunBatch(connection, random_() % 3 == 0 ? 1 + random_() % 8 : 1);
    if (!failure.empty()) return fmt::format("client {}: {}", number_, failure);
  }
  return "";
}

bool TortureClient::ReadOwnKeys(Connection& connection, State& state) const {
  const Reply keys = connection("KEYS", fmt::format("c{}:*", number_));
  if (keys.type != Reply::kArray) return false;
  if (keys.elements.empty()) return true;
  Words words{"MGET"};
  for (const Reply& key : keys.elements) words.push_back(key.text);
  const Reply values = connection.Send(words);
  if (values.elements.size() != keys.elements.size()) return false;
  for (size_t i = 0; i < values.elements.size(); ++i) {
    if (values.elements[i].type != Reply::kString) return false;
    state[keys.elements[i].text] = values.elements[i].text;
  }
  return true;
}

std::string TortureClient::Verify(const Server& server) {
  State found;
  // The server may just be about to start over.
  const bool read = WaitUntil([&] {
    found.clear();
    Connection connection = ConnectToOwnDatabase(server);
    return connection.open() && ReadOwnKeys(connection, found);
  });
  if (!read) return fmt::format("client {}: its keys could not be read", number_);
  State expected = acknowledged_;
  open_increments_ = 0;
  for (const Words& write : unacknowledged_) open_increments_ += write[0] == "INCR" ? 1 : 0;
  for (const Words& write : unacknowledged_) {
    if (expected == found) break;
    Apply(write, expected);
  }
  if (expected != found) {
    return fmt::format("client {}: with all acknowledged writes and any of {} others: {}", number_,
                       unacknowledged_.size(), FirstDifference(acknowledged_, found));
  }
  acknowledged_ = std::move(found);
  unacknowledged_.clear();
  return "";
}

}  // namespace warren::test
