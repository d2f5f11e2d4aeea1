#include "lwlock/locks_page.h"

#include <doctest/doctest.h>

#include "tests/support/generated_page.h"

TEST_CASE("docs/locks.md lists every lock and wait") {
  CheckGeneratedPage("locks.md", warren::LocksMarkdown());
}
