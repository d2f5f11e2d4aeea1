// Does docs/crash-recovery.md speak of every lock and every structure that there is?
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "lwlock/repair.h"
#include "postmaster/process_monitor.h"
#include "shmem/segment.h"
#include "storage/segment_check.h"
#include "tests/support/segment_world.h"

namespace warren::test {
namespace {

const std::string kSource = WARREN_SOURCE_DIR;

std::string Page() { return *ReadWholeFile(kSource + "/docs/crash-recovery.md"); }

std::vector<std::string> Split(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + separator.size();
  }
  return parts;
}

// The rows of the section's table whose first cell is a name in backquotes: name -> cells.
std::map<std::string, std::vector<std::string>> TableOf(const std::string& section) {
  std::string text = Page();
  const size_t begin = text.find("\n## " + section + "\n");
  REQUIRE(begin != std::string::npos);
  text = text.substr(begin, text.find("\n## ", begin + 4) - begin);
  std::map<std::string, std::vector<std::string>> rows;
  for (const std::string& line : Split(text, "\n")) {
    if (!line.starts_with("| `")) continue;
    std::vector<std::string> cells = Split(line.substr(2, line.size() - 4), " | ");
    const std::string name = cells[0].substr(1, cells[0].size() - 2);
    CHECK_MESSAGE(rows.emplace(name, cells).second, name << " has two rows");
  }
  return rows;
}

bool IsOfTests(std::string_view tranche) { return tranche.starts_with("test"); }

}  // namespace

TEST_CASE("the page on crash recovery has a row for every tranche, and each has its repair") {
  RegisterAllRepairs();
  const auto rows = TableOf("Locks");
  size_t count = 0;
  for (size_t i = 0; i < kTrancheCount; ++i) {
    const std::string name(GetTranche(static_cast<TrancheId>(i)).name);
    if (IsOfTests(name)) continue;
    ++count;
    CAPTURE(name);
    CHECK(rows.contains(name));
    const bool repaired = GetRepair(static_cast<TrancheId>(i)) != nullptr;
    CHECK(repaired);
  }
  CHECK(rows.size() == count);
}

TEST_CASE("the page on crash recovery has a row for every structure, and says what CHECK asserts") {
  const SegmentWorld world;
  const auto rows = TableOf("Structures");
  CHECK(rows.size() == Segment::Structures().size());
  REQUIRE(SegmentChecks().size() == Segment::Structures().size());
  for (size_t i = 0; i < SegmentChecks().size(); ++i) {
    const SegmentCheck& check = SegmentChecks()[i];
    const std::string name(check.structure);
    CAPTURE(name);
    CHECK(check.structure == Segment::Structures()[i].name);
    REQUIRE(rows.contains(name));
    CHECK(rows.at(name)[3] == (check.check != nullptr ? "yes" : std::string(check.why_none)));
  }
}

TEST_CASE("every file that the page on crash recovery names is there") {
  const std::vector<std::string> quoted = Split(Page(), "`");
  size_t files = 0;
  for (size_t i = 1; i < quoted.size(); i += 2) {
    const std::string& word = quoted[i];
    if (word.find('/') == std::string::npos || word.starts_with("./")) continue;
    ++files;
    CHECK_MESSAGE(std::filesystem::exists(kSource + "/" + word), word);
  }
  CHECK(files > 40);
}

}  // namespace warren::test
