#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "backend/command.h"
#include "backend/command_syntax.h"
#include "base/ascii.h"

namespace warren {
namespace {

const CommandInfo* Find(std::vector<std::string_view> args,
                        const CommandInfo** container = nullptr) {
  const CommandInfo* ignored = nullptr;
  return FindCommand(args, container != nullptr ? container : &ignored);
}

std::string NameOf(const CommandInfo* info) {
  return info == nullptr ? "" : std::string(info->name);
}

TEST_CASE("the command table is sorted and every name is there once") {
  const auto table = CommandTable();
  for (size_t i = 1; i < table.size(); ++i) CHECK(table[i - 1].name < table[i].name);
}

TEST_CASE("every command is found by its name in any case, with its own index") {
  for (const CommandInfo& info : CommandTable()) {
    CAPTURE(info.name);
    CHECK(FindCommandByName(info.name) == &info);
    CHECK(FindCommandByName(AsciiUpper(info.name)) == &info);
    CHECK(&CommandTable()[CommandIndex(info)] == &info);
  }
}

TEST_CASE("rows are complete and agree with themselves") {
  const std::set<std::string_view> groups = {"connection", "generic",   "server",
                                             "string",     "scripting", "transactions"};
  for (const CommandInfo& info : CommandTable()) {
    CAPTURE(info.name);
    CHECK(groups.contains(info.group));
    CHECK(!info.summary.empty());
    CHECK(!info.since.empty());
    CHECK(!info.complexity.empty());
    CHECK(info.arity != 0);
    std::string name = AsciiUpper(info.name);
    std::ranges::replace(name, '|', ' ');
    CHECK((info.syntax == name || info.syntax.starts_with(name + " ")));
    const int words = info.name.find('|') == std::string_view::npos ? 1 : 2;
    CHECK(std::abs(info.arity) >= words);
    CHECK(!((info.flags & kWrite) != 0 && (info.flags & kReadOnly) != 0));
    const bool keys = info.first_key != 0;
    CHECK(keys == (info.key_step != 0));
    CHECK(keys == (info.last_key != 0));
    if (keys) CHECK(std::abs(info.arity) > info.first_key);
    if (info.name == AsciiLower(name))
      CHECK(ArityFits(info, static_cast<size_t>(std::abs(info.arity))));
  }
}

TEST_CASE("a sub-command is looked up behind its container") {
  const CommandInfo* container = nullptr;
  CHECK(NameOf(Find({"config", "GET", "x"}, &container)) == "config|get");
  CHECK(container == nullptr);
  CHECK(Find({"CONFIG", "nothing"}, &container) == nullptr);
  CHECK(NameOf(container) == "config");
  CHECK(NameOf(Find({"Config"}, &container)) == "config");
  CHECK(NameOf(Find({"command"})) == "command");
  CHECK(NameOf(Find({"command", "count"})) == "command|count");
  CHECK(NameOf(Find({"ping", "count"})) == "ping");
}

TEST_CASE("what is found does not depend on what was found before") {
  const std::vector<std::pair<std::vector<std::string_view>, std::string>> asked = {
      {{"get", "k"}, "get"},  {{"GET", "k"}, "get"},
      {{"ge", "k"}, ""},      {{"getx", "k"}, ""},
      {{"", "k"}, ""},        {{"config", "get"}, "config|get"},
      {{"config"}, "config"}, {{"config", "set"}, "config|set"},
      {{"config", "k"}, ""},  {{"nothing"}, ""},
      {{"set", "k"}, "set"},  {{"getdel", "k"}, "getdel"}};
  for (const auto& before : asked) {
    for (const auto& now : asked) {
      CAPTURE(before.first[0]);
      CAPTURE(now.first[0]);
      (void)Find(before.first);
      CHECK(NameOf(Find(now.first)) == now.second);
    }
  }
}

TEST_CASE("what is no command is not found") {
  const CommandInfo* container = nullptr;
  for (const std::string_view name : {"", "nothing", "get ", "config|get", "|", "client|"}) {
    CAPTURE(name);
    CHECK(Find({name, "get", "x"}, &container) == nullptr);
    CHECK(container == nullptr);
  }
  const std::string long_name(1000, 'x');
  CHECK(Find({long_name}) == nullptr);
  CHECK(Find({"config", long_name}, &container) == nullptr);
  CHECK(NameOf(container) == "config");
  CHECK(Find({std::string_view("get\0", 4)}) == nullptr);
}

TEST_CASE("arity counts the names, exactly or at least") {
  const CommandInfo* get = FindCommandByName("get");
  CHECK(!ArityFits(*get, 1));
  CHECK(ArityFits(*get, 2));
  CHECK(!ArityFits(*get, 3));
  const CommandInfo* config_get = FindCommandByName("config|get");
  CHECK(!ArityFits(*config_get, 2));
  CHECK(ArityFits(*config_get, 3));
  CHECK(ArityFits(*config_get, 30));
}

// An argument as one text: "name:type", TOKEN= before, ? optional, * multiple, (...) parts.
std::string Text(const SyntaxArgument& argument) {
  std::string text = argument.token.empty() ? "" : argument.token + "=";
  text += argument.name + ":" + argument.type;
  if (argument.optional) text += "?";
  if (argument.multiple) text += "*";
  if (argument.parts.empty()) return text;
  text += "(";
  for (const SyntaxArgument& part : argument.parts) text += Text(part) + " ";
  text.back() = ')';
  return text;
}

std::string Parsed(std::string_view syntax) {
  CommandInfo info{
      .name = "x", .group = {}, .syntax = syntax, .summary = {}, .since = {}, .complexity = {}};
  std::string text;
  for (const SyntaxArgument& argument : ParseSyntax(info)) text += Text(argument) + " ";
  if (!text.empty()) text.pop_back();
  return text;
}

TEST_CASE("arguments are read off the syntax line") {
  CHECK(Parsed("X") == "");
  CHECK(Parsed("X key value") == "key:key value:string");
  CHECK(Parsed("X key [key ...]") == "key:key*");
  CHECK(Parsed("X [name ...]") == "name:string?*");
  CHECK(Parsed("X key value [key value ...]") == "block:block*(key:key value:string)");
  CHECK(Parsed("X [COUNT count] [REPLACE]") == "COUNT=count:string? REPLACE=replace:pure-token?");
  CHECK(Parsed("X [NX|XX]") == "choice:oneof?(NX=nx:pure-token XX=xx:pure-token)");
  CHECK(Parsed("X [EX seconds|PX ms|KEEPTTL]") ==
        "choice:oneof?(EX=seconds:string PX=ms:string KEEPTTL=keepttl:pure-token)");
  CHECK(Parsed("X [TYPE A|B]") == "TYPE=choice:oneof?(A=a:pure-token B=b:pure-token)");
  CHECK(Parsed("X [BY <A name | B name>]") == "BY=choice:oneof?(A=name:string B=name:string)");
}

TEST_CASE("every syntax line of the table is understood") {
  for (const CommandInfo& info : CommandTable()) {
    CAPTURE(info.name);
    const auto arguments = ParseSyntax(info);
    const size_t names = info.name.find('|') == std::string_view::npos ? 1 : 2;
    CHECK(arguments.empty() == (info.syntax.size() == info.name.size()));
    // As many must be given as arity says, when nothing is optional or repeated.
    const bool plain = std::ranges::none_of(arguments, [](const SyntaxArgument& argument) {
      return argument.optional || argument.multiple || !argument.token.empty() ||
             !argument.parts.empty();
    });
    if (plain && info.handler != nullptr && info.arity > 0) {
      CHECK(arguments.size() + names == static_cast<size_t>(info.arity));
    }
  }
}

}  // namespace
}  // namespace warren
