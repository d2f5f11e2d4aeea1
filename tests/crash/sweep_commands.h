// Which commands are swept, and in which situations?
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/crash/sweep.h"

namespace warren::test {

// One row of the list: what is sent, after what.
struct CommandSweep {
  std::string name;     // in the command table
  std::string variant;  // what is special; empty: nothing
  // Each a command's words, divided by spaces; "$L" stands for a value that needs pages of its own,
  // "$M" for one that fills half a leaf.
  std::vector<std::string> before = {};   // by another session, earlier
  std::vector<std::string> prepare = {};  // by the same session, not recorded
  std::string command;
  Effect effect = Effect::kWhole;
};

// Each command that writes at least once (a test compares), and those that end transactions or
// lock.
const std::vector<CommandSweep>& CommandSweeps();

Operation MakeOperation(const CommandSweep& sweep);

// The words of a line of such a row.
std::vector<std::string> WordsOf(const std::string& line);
// The keys that are there before each of them.
void MakeFurniture();

}  // namespace warren::test
