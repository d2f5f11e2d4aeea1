// What are a command's arguments, for COMMAND DOCS?
//
// Taken from the syntax line of the command table, so that it is written down once:
//
//   word          an argument: its name; "key" and names in key positions are of type key
//   WORD          a token that is sent as it is
//   WORD word     a token followed by its argument
//   [ ... ]       optional
//   a | b | c     one of them (binds weaker than sequence); A|B without blanks likewise
//   word ...      once or more; [word ...] none or more
#pragma once

#include <string>
#include <vector>

#include "backend/command.h"

namespace warren {

struct SyntaxArgument {
  std::string name = {};   // lower case
  std::string type = {};   // "key", "pattern", "string", "pure-token", "oneof", "block"
  std::string token = {};  // what is sent before it, or instead of it
  bool optional = false;
  bool multiple = false;
  std::vector<SyntaxArgument> parts = {};  // of "oneof" and "block"
};

std::vector<SyntaxArgument> ParseSyntax(const CommandInfo& info);

}  // namespace warren
