// Which inner operations of cache, log, store and lock table are swept, beside the commands?
#pragma once

#include <vector>

#include "tests/crash/sweep.h"

namespace warren::test {

std::vector<Operation> InnerOperations();

}  // namespace warren::test
