#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "backend/multi_queue.h"

namespace warren {
namespace {

constexpr uint64_t kPlenty = 1u << 20;

TEST_CASE("queued commands keep arguments of their own") {
  MultiQueue queue;
  queue.Open();
  const CommandInfo& get = *FindCommandByName("get");
  std::string buffer = "GETkey";
  for (int i = 0; i < 100; ++i) {
    const std::vector<std::string_view> args = {std::string_view(buffer).substr(0, 3),
                                                std::string_view(buffer).substr(3), ""};
    REQUIRE(queue.Add(get, args, kPlenty).ok());
  }
  buffer.assign(buffer.size(), 'x');
  REQUIRE(queue.commands().size() == 100);
  for (const QueuedCommand& command : queue.commands()) {
    CHECK(command.info == &get);
    REQUIRE(command.args.size() == 3);
    CHECK(command.args[0] == "GET");
    CHECK(command.args[1] == "key");
    CHECK(command.args[2].empty());
  }
}

TEST_CASE("a queue holds no more than its limit and stays as it was at a command too many") {
  MultiQueue queue;
  queue.Open();
  const CommandInfo& set = *FindCommandByName("set");
  const std::string value(10'000, 'v');
  const std::vector<std::string_view> large = {"SET", "k", value};
  const std::vector<std::string_view> small = {"SET", "k", "v"};
  REQUIRE(queue.Add(set, large, 25'000).ok());
  REQUIRE(queue.Add(set, large, 25'000).ok());
  const Status refused = queue.Add(set, large, 25'000);
  REQUIRE(!refused.ok());
  CHECK(refused.error().message.find("client_query_limit (25000 bytes)") != std::string::npos);
  CHECK(queue.commands().size() == 2);
  CHECK(queue.Add(set, small, 25'000).ok());

  // Small ones count with what it takes to keep them.
  int kept = 0;
  while (queue.Add(set, small, 25'000).ok()) ++kept;
  CHECK(kept > 0);
  CHECK(kept < 5000 / 30);
}

TEST_CASE("closing a queue forgets its commands and that one was refused") {
  MultiQueue queue;
  queue.Spoil();  // nothing is open
  CHECK(!queue.spoilt());
  queue.Open();
  REQUIRE(queue.Add(*FindCommandByName("get"), std::vector<std::string_view>{"GET", "k"}, kPlenty)
              .ok());
  queue.Spoil();
  CHECK(queue.spoilt());
  queue.Close();
  CHECK(!queue.open());
  CHECK(!queue.spoilt());
  CHECK(queue.commands().empty());
}

}  // namespace
}  // namespace warren
