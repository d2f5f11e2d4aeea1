// What do people read about the records of deaths? docs/incidents.md, from the table.
#pragma once

#include <string>

namespace warren {

std::string IncidentsMarkdown();

}  // namespace warren
