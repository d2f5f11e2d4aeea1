// Reads every #include of the tree and says which one breaks the layering of the folders.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

// Lowest first: a folder may include itself and what stands before it.
constexpr std::array<std::string_view, 7> kLayers = {"base",    "conf",    "lwlock",    "shmem",
                                                     "storage", "backend", "postmaster"};
constexpr int kNoLayer = -1;

// A folder beside the layers, with the highest layer it may include.
struct SideFolder {
  std::string_view name;
  std::string_view highest;
  std::string_view why;
};
constexpr std::array<SideFolder, 2> kSideFolders = {
    SideFolder{"client", "base", "a client knows the server by its protocol only"},
    SideFolder{"bench", "lwlock", "the locks are measured by themselves, the server from outside"}};

int LayerOf(std::string_view folder) {
  const auto found = std::find(kLayers.begin(), kLayers.end(), folder);
  return found == kLayers.end() ? kNoLayer : static_cast<int>(found - kLayers.begin());
}

const SideFolder* FindSideFolder(std::string_view folder) {
  const auto found = std::find_if(kSideFolders.begin(), kSideFolders.end(),
                                  [&](const SideFolder& side) { return side.name == folder; });
  return found == kSideFolders.end() ? nullptr : &*found;
}

std::string_view FirstPart(std::string_view path) { return path.substr(0, path.find('/')); }

// The folder whose rules hold for `file`: tests/unit/shmem_latch_test.cpp belongs to shmem.
std::string_view FolderOf(std::string_view file) {
  if (!file.starts_with("tests/")) return FirstPart(file);
  const std::string_view name = file.substr(file.rfind('/') + 1);
  return name.substr(0, name.find('_'));
}

// The rule that `file` (its path in the tree) breaks by including `target`, if any. What is not one
// of our folders is a library's header or a test's own helper, and free.
std::optional<std::string> BrokenRule(std::string_view file, std::string_view target) {
  const std::string_view to = FirstPart(target);
  const int to_layer = LayerOf(to);
  if (to_layer == kNoLayer && FindSideFolder(to) == nullptr) return {};
  if (file.starts_with("tests/server/")) return "server tests know the program only";

  const std::string from(FolderOf(file));
  if (from == to) return {};
  if (const SideFolder* side = FindSideFolder(from)) {
    if (to_layer != kNoLayer && to_layer <= LayerOf(side->highest)) return {};
    return from + " includes " + std::string(side->highest) +
           " and nothing above it: " + std::string(side->why);
  }
  const int from_layer = LayerOf(from);
  if (from_layer == kNoLayer || from == kLayers.back()) return {};
  if (to_layer == kNoLayer) return from + " may not include " + std::string(to);
  if (to_layer < from_layer) return {};
  return from + " stands below " + std::string(to) + " and may not include it";
}

bool IsSource(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".h" || extension == ".cpp" || extension == ".def";
}

// What stands between the quotes of an #include "..."; empty for any other line.
std::string_view IncludedBy(std::string_view line) {
  const auto skip = [&line](std::string_view word) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (!line.starts_with(word)) return false;
    line.remove_prefix(word.size());
    return true;
  };
  if (!skip("#") || !skip("include") || !skip("\"")) return {};
  return line.substr(0, line.find('"'));
}

// Adds `file:line: includes "x": rule` for each include of `path` that breaks one.
void CheckFile(const fs::path& root, const fs::path& path, std::vector<std::string>* broken) {
  const std::string file = path.lexically_relative(root).string();
  std::ifstream in(path);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string_view target = IncludedBy(line);
    if (const auto rule = BrokenRule(file, target)) {
      broken->push_back(file + ":" + std::to_string(number) + ": includes \"" +
                        std::string(target) + "\": " + *rule);
    }
  }
}

std::vector<fs::path> SourcesUnder(const fs::path& root) {
  std::vector<std::string_view> folders(kLayers.begin(), kLayers.end());
  for (const SideFolder& side : kSideFolders) folders.push_back(side.name);
  folders.push_back("tests");
  std::vector<fs::path> sources;
  for (const std::string_view folder : folders) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (entry.is_regular_file() && IsSource(entry.path())) sources.push_back(entry.path());
    }
  }
  return sources;
}

}  // namespace

TEST_CASE("no file includes a folder above its own") {
  const fs::path root = WARREN_SOURCE_DIR;
  const std::vector<fs::path> sources = SourcesUnder(root);
  REQUIRE(sources.size() > 20);  // fewer: the tree was not found and nothing would be checked
  std::vector<std::string> broken;
  for (const fs::path& source : sources) CheckFile(root, source, &broken);
  for (const std::string& line : broken) FAIL_CHECK(line);
}

TEST_CASE("includes are found in any spelling that the compiler takes") {
  CHECK(IncludedBy("#include \"base/ids.h\"") == "base/ids.h");
  CHECK(IncludedBy("  #  include\t\"base/ids.h\"  // why") == "base/ids.h");
  CHECK(IncludedBy("#include <base/ids.h>").empty());
  CHECK(IncludedBy("// #include \"base/ids.h\"").empty());
}

TEST_CASE("the layering check tells allowed from forbidden includes") {
  CHECK_FALSE(BrokenRule("shmem/latch.h", "shmem/proc.h"));
  CHECK_FALSE(BrokenRule("shmem/latch.h", "lwlock/lwlock.h"));
  CHECK_FALSE(BrokenRule("base/log.cpp", "spdlog/spdlog.h"));
  CHECK_FALSE(BrokenRule("postmaster/main.cpp", "client/stop.h"));
  CHECK_FALSE(BrokenRule("client/stop.cpp", "base/result.h"));
  CHECK_FALSE(BrokenRule("bench/ipc/locks.h", "lwlock/lwlock.h"));
  CHECK_FALSE(BrokenRule("tests/unit/storage_tree_test.cpp", "shmem/segment.h"));

  CHECK(BrokenRule("shmem/latch.h", "storage/store.h") ==
        "shmem stands below storage and may not include it");
  CHECK(BrokenRule("base/log.cpp", "conf/settings.h"));
  CHECK(BrokenRule("backend/session.cpp", "client/stop.h") == "backend may not include client");
  CHECK(
      BrokenRule("client/stop.cpp", "conf/settings.h") ==
      "client includes base and nothing above it: a client knows the server by its protocol only");
  CHECK(BrokenRule("tests/unit/shmem_latch_test.cpp", "storage/store.h"));
  CHECK(BrokenRule("bench/ipc/locks.h", "shmem/segment.h"));
  CHECK(BrokenRule("tests/server/strings_test.cpp", "base/clock.h"));
}
