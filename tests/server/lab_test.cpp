// Does every experiment of docs/lab.md do what the page says?
//
// The page's own commands are run by a shell, one experiment after the other, each with a server of
// its own, and what they print is compared with what is printed there.
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

using namespace warren::test;

namespace {

constexpr Milliseconds kExperimentPatience{90'000};

struct Block {
  std::string kind;  // "sh" or "text"
  std::string text;
};

struct Section {
  std::string title;
  std::vector<Block> blocks;
};

std::vector<std::string> LinesOf(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::vector<Section> ReadSections(const std::string& page) {
  std::vector<Section> sections;
  std::string* block = nullptr;
  for (const std::string& line : LinesOf(page)) {
    if (line.starts_with("## ")) sections.push_back({line.substr(3), {}});
    if (sections.empty()) continue;
    const bool fence = line.starts_with("```");
    if (fence && block == nullptr) {
      sections.back().blocks.push_back({line.substr(3), ""});
      block = &sections.back().blocks.back().text;
    } else if (fence) {
      block = nullptr;
    } else if (block != nullptr) {
      *block += line + "\n";
    }
  }
  return sections;
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  size_t count = 0;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
    ++count;
  }
  CHECK_MESSAGE(count > 0, "the page does not say " << from);
  return text;
}

// "..." stands for anything within a line.
bool Fits(std::string_view pattern, std::string_view line) {
  const size_t dots = pattern.find("...");
  if (dots == std::string_view::npos) return pattern == line;
  if (line.substr(0, dots) != pattern.substr(0, dots)) return false;
  pattern.remove_prefix(dots + 3);
  for (size_t at = dots; at <= line.size(); ++at) {
    if (Fits(pattern, line.substr(at))) return true;
  }
  return false;
}

void CheckOutput(const std::string& expected, const std::string& found) {
  CAPTURE(found);
  const std::vector<std::string> patterns = LinesOf(expected), lines = LinesOf(found);
  CHECK(patterns.size() == lines.size());
  for (size_t i = 0; i < patterns.size() && i < lines.size(); ++i) {
    CHECK_MESSAGE(Fits(patterns[i], lines[i]), patterns[i] << " is not " << lines[i]);
  }
}

// A shell in a process group of its own, of which nothing is left at the end.
class Shell {
 public:
  Shell(const std::string& script, const std::string& output_file) {
    pid_ = fork();
    if (pid_ != 0) return;
    setpgid(0, 0);
    const std::string command = "exec > " + output_file + " 2>&1 < /dev/null\n" + script;
    execlp("bash", "bash", "-c", command.c_str(), nullptr);
    _exit(127);
  }
  ~Shell() {
    kill(-pid_, SIGKILL);
    if (!reaped_) waitpid(pid_, nullptr, 0);
  }
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  bool Ends(Milliseconds patience) {
    return WaitUntil([&] { return reaped_ = waitpid(pid_, nullptr, WNOHANG) == pid_; }, patience);
  }

 private:
  pid_t pid_;
  bool reaped_ = false;
};

// The blocks' commands between those of `set_up`, with a line between what they print.
std::string ScriptOf(const std::vector<Block>& set_up, const Section& experiment,
                     const std::string& separator) {
  std::string script = set_up[0].text + "echo '" + separator + "'\n";
  for (const Block& block : experiment.blocks) {
    if (block.kind == "sh") script += block.text + "echo '" + separator + "'\n";
  }
  return script + set_up[1].text;
}

std::vector<std::string> SplitAt(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts(1);
  for (const std::string& line : LinesOf(text)) {
    line == separator ? (void)parts.emplace_back() : (void)(parts.back() += line + "\n");
  }
  return parts;
}

void RunExperiment(const std::vector<Block>& set_up, const Section& experiment) {
  CAPTURE(experiment.title);
  const TemporaryDirectory directory;
  const std::string separator = "-- end of a block --";
  std::string script = ScriptOf(set_up, experiment, separator);
  const auto program = std::filesystem::path(WARREN_BINARY);
  script = Replaced(script, "$PWD/build/release", program.parent_path());
  script = Replaced(script, "7433", std::to_string(FreePort()));
  script = Replaced(script, "$(mktemp -d)", directory.path() + "/lab; mkdir $LAB");
  const std::string output = directory.path() + "/output";
  Shell shell(script, output);
  REQUIRE_MESSAGE(shell.Ends(kExperimentPatience), ReadFile(output));
  const std::vector<std::string> parts = SplitAt(ReadFile(output), separator);
  size_t part = 0;
  for (const Block& block : experiment.blocks) {
    if (block.kind == "sh") ++part;
    REQUIRE(part < parts.size());
    if (block.kind == "text") CheckOutput(block.text, parts[part]);
  }
  CHECK(parts.back() == "server stopped: shut down cleanly\n");
}

}  // namespace

TEST_CASE("the lab's experiments show what their page says") {
  const std::vector<Section> sections =
      ReadSections(ReadFile(std::string(WARREN_SOURCE_DIR) + "/docs/lab.md"));
  REQUIRE(sections.size() > 6);
  REQUIRE(sections[0].title == "Set up");
  REQUIRE(sections[0].blocks.size() == 2);
  for (size_t i = 1; i < sections.size(); ++i) {
    REQUIRE(sections[i].blocks.size() >= 2);
    RunExperiment(sections[0].blocks, sections[i]);
  }
}
