// Which commands are sent to Redis and Warren for comparison, and how are they written down?
//
// One command a line, words apart by blanks; "quoted words" may hold blanks and \xHH, \n, \r, \",
// \\. A line that begins with ~ has its reply compared without regard to the order of its lines;
// one that begins with 2> is sent by a second client.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warren::test {

struct Script {
  std::string name;
  std::vector<std::string> lines;
};

// The files redis_scripts/*.script, in the order of their names.
std::vector<Script> LoadScripts();

// Of random commands: KEY, VALUE, NUMBER and TIME stand for one of several such words, LONG and
// LONGER for values that do not fit into a page or into two.
extern const std::span<const std::string_view> kRandomCommands;
extern const std::span<const std::string_view> kRandomValues;
extern const std::span<const std::string_view> kRandomNumbers;
extern const std::span<const std::string_view> kRandomTimes;

std::vector<std::string> Split(std::string_view line);

}  // namespace warren::test
