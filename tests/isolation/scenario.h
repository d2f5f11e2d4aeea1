// What does a scenario file say? (Its format: README.md.)
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/isolation/expectation.h"

namespace warren::test {

using Words = std::vector<std::string>;

// One line of an order: a step is begun, or one begun before comes to its end, and what is seen.
struct Move {
  std::string session;
  std::string step;
  bool completes = false;           // <completed>: the step was begun before and waited
  bool waits = false;               // <waiting ...>
  std::vector<std::string> behind;  // whom it waits for, if it says so
  Expectation expected;             // unless it waits
  int line = 0;
};

struct Order {
  std::string title;
  std::vector<Move> moves;
};

struct ScenarioSession {
  std::string name;
  std::vector<std::string> steps;        // names, as they stand in the file
  std::map<std::string, Words> command;  // by step
};

struct Scenario {
  std::string name;                   // of the file
  std::string about;                  // the comment at its head
  std::vector<std::string> settings;  // "lock_timeout=100ms"
  bool holds_on_redis = false;
  std::vector<Words> setup;
  std::vector<ScenarioSession> sessions;
  std::vector<Order> orders;
  bool every_order = false;
  std::vector<Words> looks;  // for every_order: what is read at the end

  const ScenarioSession& session(const std::string& session_name) const;

  // Throws std::runtime_error: line and what is wrong with it.
  static Scenario Parse(const std::string& name, std::string_view text);
};

// A command line: words apart by blanks, "quoted" where a word holds some.
Words SplitCommand(std::string_view line);

}  // namespace warren::test
