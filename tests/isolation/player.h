// How is a scenario played, and did it go as written?
//
// Each session is a connection. A step is sent and then watched until it is decided, without
// waiting for time to pass: either its reply comes, or LOCKS shows that its backend waits.
#pragma once

#include <string>

#include "tests/isolation/scenario.h"
#include "tests/isolation/stage.h"

namespace warren::test {

// Plays one order, on fresh connections. What went wrong with the course of events so far, or
// nothing.
std::string PlayOrder(Stage& stage, const Scenario& scenario, const Order& order);

// Plays interleavings of the sessions' steps (at most `limit`, chosen by `seed` if there are more):
// each must end as some order does in which the sessions that committed come one after the other.
// Sessions that were aborted (an error of locks, or an EXEC that answers nil) don't count.
std::string PlayEveryOrder(Stage& stage, const Scenario& scenario, size_t limit, uint64_t seed);

}  // namespace warren::test
