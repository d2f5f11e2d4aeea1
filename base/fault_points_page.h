// What does docs/fault-points.md say?
#pragma once

#include <string>

namespace warren {

std::string FaultPointsMarkdown();

}  // namespace warren
