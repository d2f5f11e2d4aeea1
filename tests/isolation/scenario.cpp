#include "tests/isolation/scenario.h"

#include <algorithm>
#include <stdexcept>

namespace warren::test {
namespace {

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// Cuts the first word off.
std::string TakeWord(std::string_view& text) {
  text = Trimmed(text);
  const size_t end = std::min(text.find(' '), text.size());
  const std::string word(text.substr(0, end));
  text = Trimmed(text.substr(end));
  return word;
}

class FileParser {
 public:
  FileParser(const std::string& name, std::string_view text) : rest_(text) {
    scenario_.name = name;
  }

  Scenario Parse() {
    while (!rest_.empty()) {
      ++number_;
      std::string_view line = rest_.substr(0, rest_.find('\n'));
      rest_.remove_prefix(std::min(line.size() + 1, rest_.size()));
      const std::string_view content = Trimmed(line);
      if (content.starts_with('#')) {
        if (part_ == kHead) AddAbout(Trimmed(content.substr(1)));
      } else if (!content.empty()) {
        line.starts_with(' ') ? Content(content) : Heading(content);
      }
    }
    if (scenario_.about.empty()) Fail("a comment at the head has to say what it is about");
    if (scenario_.orders.empty() && !scenario_.every_order) Fail("there is no order");
    return std::move(scenario_);
  }

 private:
  enum Part { kHead, kSetup, kSession, kOrder, kEveryOrder };

  [[noreturn]] void Fail(const std::string& what) const {
    throw std::runtime_error(scenario_.name + " line " + std::to_string(number_) + ": " + what);
  }

  void AddAbout(std::string_view text) {
    if (!scenario_.about.empty()) scenario_.about += ' ';
    scenario_.about += text;
  }

  void Heading(std::string_view line) {
    const std::string word = TakeWord(line);
    if (word == "settings") {
      for (const std::string& setting : SplitCommand(line)) scenario_.settings.push_back(setting);
    } else if (word == "redis") {
      scenario_.holds_on_redis = true;
    } else if (word == "setup") {
      part_ = kSetup;
    } else if (word == "session") {
      if (line.empty()) Fail("a session needs a name");
      part_ = kSession;
      scenario_.sessions.push_back({.name = std::string(line), .steps = {}, .command = {}});
    } else if (word == "order") {
      part_ = kOrder;
      scenario_.orders.push_back({.title = std::string(line), .moves = {}});
    } else if (word == "every" && line == "order") {
      part_ = kEveryOrder;
      scenario_.every_order = true;
    } else {
      Fail("no such heading: " + word);
    }
  }

  void Content(std::string_view line) {
    switch (part_) {
      case kHead:
        Fail("a line of content before the first heading");
      case kSetup:
        scenario_.setup.push_back(SplitCommand(line));
        break;
      case kSession:
        AddStep(line);
        break;
      case kOrder:
        AddMove(line);
        break;
      case kEveryOrder:
        if (TakeWord(line) != "look") Fail("only look stands here");
        scenario_.looks.push_back(SplitCommand(line));
        break;
    }
  }

  void AddStep(std::string_view line) {
    ScenarioSession& session = scenario_.sessions.back();
    const std::string step = TakeWord(line);
    if (line.empty()) Fail("a step needs a command");
    if (!session.command.emplace(step, SplitCommand(line)).second) Fail("step twice: " + step);
    session.steps.push_back(step);
  }

  void AddMove(std::string_view line) {
    Move move;
    move.line = number_;
    const std::string who = TakeWord(line);
    const size_t dot = who.find('.');
    if (dot == std::string::npos) Fail("a step is named session.step");
    move.session = who.substr(0, dot);
    move.step = who.substr(dot + 1);
    if (!Exists(move.session, move.step)) Fail("there is no step " + who);
    if (line.starts_with("<waiting")) {
      ParseWaiting(line, move);
    } else {
      constexpr std::string_view kCompleted = "<completed>";
      move.completes = line.starts_with(kCompleted);
      if (move.completes) line.remove_prefix(kCompleted.size());
      move.expected = ParseExpectation(line);
    }
    scenario_.orders.back().moves.push_back(std::move(move));
  }

  // <waiting>, or <waiting for a b>.
  void ParseWaiting(std::string_view line, Move& move) const {
    if (!line.ends_with('>')) Fail("<waiting ...> has to end with >");
    line.remove_suffix(1);
    TakeWord(line);
    move.waits = true;
    if (line.empty()) return;
    if (TakeWord(line) != "for") Fail("<waiting for SESSION ...>");
    move.behind = SplitCommand(line);
    for (const std::string& name : move.behind) {
      if (!HasSession(name)) Fail("there is no session " + name);
    }
  }

  Expectation ParseExpectation(std::string_view text) const {
    try {
      return Expectation::Parse(text);
    } catch (const std::runtime_error& error) {
      Fail(error.what());
    }
  }

  bool HasSession(const std::string& name) const {
    return std::ranges::any_of(scenario_.sessions, [&](const auto& s) { return s.name == name; });
  }
  bool Exists(const std::string& session, const std::string& step) const {
    return std::ranges::any_of(scenario_.sessions, [&](const auto& s) {
      return s.name == session && s.command.contains(step);
    });
  }

  std::string_view rest_;
  int number_ = 0;
  Part part_ = kHead;
  Scenario scenario_;
};

}  // namespace

const ScenarioSession& Scenario::session(const std::string& session_name) const {
  return *std::ranges::find(sessions, session_name, &ScenarioSession::name);
}

Scenario Scenario::Parse(const std::string& name, std::string_view text) {
  return FileParser(name, text).Parse();
}

Words SplitCommand(std::string_view line) {
  Words words;
  for (size_t i = 0; i < line.size();) {
    if (line[i] == ' ') {
      ++i;
      continue;
    }
    std::string& word = words.emplace_back();
    const bool quoted = line[i] == '"';
    if (quoted) ++i;
    while (i < line.size() && line[i] != (quoted ? '"' : ' ')) word += line[i++];
    if (quoted) ++i;
  }
  return words;
}

}  // namespace warren::test
