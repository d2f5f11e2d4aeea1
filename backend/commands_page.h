// What does docs/commands.md say? The page is made from the command table.
#pragma once

#include <string>

namespace warren {

std::string CommandsMarkdown();

}  // namespace warren
