#include "backend/commands_page.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>
#include <vector>

#include "backend/command.h"

namespace warren {
namespace {

constexpr std::string_view kIntroduction = R"(# Commands

Every command of the server, by group, in the order of their names. Words in capitals are written as
they stand, in any case; those in brackets may be left out; of words with a bar between them one is
chosen. "Since" is the version of Redis in which a command first stood, as far as it stands there.

This page is made from the command table (`backend/commands_*.h`) by `./dev docs`.
)";

bool IsContainer(const CommandInfo& info) { return info.handler == nullptr; }

// A bar would end the table's cell.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// In the order in which the table meets them.
std::vector<std::string_view> Groups() {
  std::vector<std::string_view> groups;
  for (const CommandInfo& info : CommandTable()) {
    bool known = false;
    for (std::string_view group : groups) known |= group == info.group;
    if (!known) groups.push_back(info.group);
  }
  return groups;
}

}  // namespace

std::string CommandsMarkdown() {
  std::string page(kIntroduction);
  for (std::string_view group : Groups()) {
    fmt::format_to(std::back_inserter(page),
                   "\n## {}\n\n| command | what it does | time | since |\n"
                   "| --- | --- | --- | --- |\n",
                   group);
    for (const CommandInfo& info : CommandTable()) {
      if (info.group != group || IsContainer(info)) continue;
      fmt::format_to(std::back_inserter(page), "| `{}` | {} | {} | {} |\n", Escaped(info.syntax),
                     Escaped(info.summary), Escaped(info.complexity), info.since);
    }
  }
  return page;
}

}  // namespace warren
