// What do people read about locks and waits? docs/locks.md, from the tables.
#pragma once

#include <string>

namespace warren {

std::string LocksMarkdown();

}  // namespace warren
