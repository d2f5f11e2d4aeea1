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

// An auxiliary process is killed in a round that a client has asked for, and its successor has to
// serve the request; or in a round that it makes by itself, beside the neighbours. What the client
// sees of its keys is the same as when nobody dies. Not among them: the background writer, which
// finds something to do too rarely (what it does is what the checkpointer does), and the archiver,
// which touches nothing that others do.
struct LiveRound {
  std::string_view process;  // its title
  std::string_view setup;
  std::string_view request;  // answered when such a round has been made; empty: by itself
};

std::span<const LiveRound> LiveRounds();

struct NotSwept {
  std::string_view command;
  std::string_view why;
};
std::span<const NotSwept> CommandsNotSwept();

using LiveWords = std::vector<std::string>;
// The commands in a text of the table.
std::vector<LiveWords> ParseCommands(std::string_view text, const std::string& version = "");

}  // namespace warren::test
