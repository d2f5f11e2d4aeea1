#include "backend/commands_page.h"

#include <doctest/doctest.h>

#include "backend/command.h"
#include "tests/support/generated_page.h"

namespace warren {

TEST_CASE("docs/commands.md lists every command") {
  CheckGeneratedPage("commands.md", CommandsMarkdown());
}

TEST_CASE("every row of the command table says what the page needs") {
  for (const CommandInfo& info : CommandTable()) {
    CAPTURE(info.name);
    CHECK_FALSE(info.group.empty());
    CHECK_FALSE(info.since.empty());
    CHECK_FALSE(info.summary.empty());
    CHECK_FALSE(info.summary.ends_with('.'));
    if (info.handler != nullptr) CHECK_FALSE(info.complexity.empty());
  }
}

TEST_CASE("the syntax of every command begins with its name") {
  for (const CommandInfo& info : CommandTable()) {
    std::string name(info.name);
    for (char& c : name) c = c == '|' ? ' ' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    CAPTURE(name);
    CHECK(info.syntax.starts_with(name));
  }
}

}  // namespace warren
