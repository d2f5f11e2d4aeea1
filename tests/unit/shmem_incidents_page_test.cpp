#include "shmem/incidents_page.h"

#include <doctest/doctest.h>

#include "tests/support/generated_page.h"

TEST_CASE("docs/incidents.md tells every field of an incident") {
  CheckGeneratedPage("incidents.md", warren::IncidentsMarkdown());
}
