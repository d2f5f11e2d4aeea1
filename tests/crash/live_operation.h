// What is a client killed in, and how is it seen whether that was done?
//
// An operation is what the victim sends in one go. Before it the keys of the victim are made by
// `setup`; what is there then is "not done", what is there after an undisturbed run is "done",
// and a kill must leave one of the two. The server's list of commands and this table are compared:
// each command that writes is in it, or in kNotSwept with the reason.
//
// In words, `@n` is a value of n bytes, `$version` the version of live:v:a.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warren::test {

struct LiveOperation {
  std::string_view name;
  std::string_view setup;     // commands separated by semicolons
  std::string_view commands;  // likewise
};

std::span<const LiveOperation> LiveOperations();

struct NotSwept {
  std::string_view command;
  std::string_view why;
};
std::span<const NotSwept> CommandsNotSwept();

using LiveWords = std::vector<std::string>;
// The commands in a text of the table.
std::vector<LiveWords> ParseCommands(std::string_view text, const std::string& version = "");

}  // namespace warren::test
