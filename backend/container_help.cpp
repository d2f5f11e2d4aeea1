#include "backend/container_help.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "backend/session.h"
#include "base/ascii.h"

namespace warren {

Status ContainerHelpCommand(Session& session, Args args) {
  const CommandInfo* container = FindCommandByName(args[0]);
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
                              AsciiUpper(container->name)));
  if (container->handler != nullptr) {
    lines.emplace_back("(no subcommand)");
    lines.push_back(fmt::format("    {}", container->summary));
  }
  for (const CommandInfo& sub : SubcommandsOf(*container)) {
    lines.emplace_back(sub.syntax.substr(container->name.size() + 1));
    lines.push_back(fmt::format("    {}", sub.summary));
  }
  session.reply().Array(lines.size());
  for (const std::string& line : lines) session.reply().Simple(line);
  return {};
}

}  // namespace warren
