#include "shmem/stats_view.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "tests/support/generated_page.h"

using warren::AllStatistics;

TEST_CASE("docs/statistics.md lists every statistic") {
  CheckGeneratedPage("statistics.md", warren::StatisticsMarkdown());
}

TEST_CASE("no two statistics have one name, and each has a unit and a help text") {
  std::set<std::string> names;
  for (const warren::Statistic& statistic : AllStatistics()) {
    CHECK_MESSAGE(names.insert(statistic.name).second, statistic.name);
    CHECK_MESSAGE(!statistic.unit.empty(), statistic.name);
    CHECK_MESSAGE(!statistic.help.empty(), statistic.name);
  }
}
