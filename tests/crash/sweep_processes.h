// Which processes are swept as a whole: how they take their slot and join, and how they give back
// what they have and end?
//
// Each is the server's own: what the postmaster does before the fork (a death among these stores is
// its own), then RunChild with the main function of its kind. So a process of these operations ends
// by _exit.
#pragma once

#include <vector>

#include "tests/crash/sweep.h"

namespace warren::test {

std::vector<Operation> ProcessOperations();

}  // namespace warren::test
