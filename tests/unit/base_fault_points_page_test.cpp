#include "base/fault_points_page.h"

#include <doctest/doctest.h>

#include "tests/support/generated_page.h"

TEST_CASE("docs/fault-points.md lists every fault point") {
  CheckGeneratedPage("fault-points.md", warren::FaultPointsMarkdown());
}
