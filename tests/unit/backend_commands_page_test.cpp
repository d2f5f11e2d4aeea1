#include "backend/commands_page.h"

#include <doctest/doctest.h>

#include "tests/support/generated_page.h"

namespace warren {

TEST_CASE("docs/commands.md lists every command") {
  CheckGeneratedPage("commands.md", CommandsMarkdown());
}

}  // namespace warren
