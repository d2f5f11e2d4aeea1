// Which measurements and which of their rows does --only leave?
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "bench/ipc/figures.h"

namespace warren::ipc {

// All plans, cut down to `only`: names of measurements restrict those, names of mechanisms restrict
// rows. Upper and lower case are alike. An error for a name that nothing has, or if nothing is
// left.
Result<std::vector<Plan>> SelectPlans(const Effort& effort, const std::vector<std::string>& only);

}  // namespace warren::ipc
