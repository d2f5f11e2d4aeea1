#include "tests/server/redis_scripts.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace warren::test {
namespace {

constexpr const char* kFolder = WARREN_SOURCE_DIR "/tests/server/redis_scripts";

constexpr std::string_view kAllRandomCommands[] = {
    "GET KEY",
    "SET KEY VALUE",
    "SET KEY NUMBER",
    "SET KEY VALUE NX",
    "SET KEY VALUE XX GET",
    "SET KEY VALUE GET KEEPTTL",
    "SET KEY VALUE PXAT TIME",
    "SET KEY VALUE EXAT TIME NX GET",
    "SETNX KEY VALUE",
    "GETSET KEY VALUE",
    "GETDEL KEY",
    "GETEX KEY",
    "GETEX KEY PERSIST",
    "GETEX KEY PXAT TIME",
    "GETEX KEY EXAT TIME",
    "MGET KEY KEY KEY",
    "MSET KEY VALUE KEY VALUE",
    "MSETNX KEY VALUE KEY VALUE",
    "APPEND KEY VALUE",
    "STRLEN KEY",
    "INCR KEY",
    "DECR KEY",
    "INCRBY KEY NUMBER",
    "DECRBY KEY NUMBER",
    "INCRBYFLOAT KEY NUMBER",
    "GETRANGE KEY NUMBER NUMBER",
    "SUBSTR KEY NUMBER NUMBER",
    "SETRANGE KEY 3 VALUE",
    "SETRANGE KEY NUMBER VALUE",
    "EXISTS KEY KEY",
    "TOUCH KEY KEY",
    "DEL KEY KEY",
    "UNLINK KEY",
    "TYPE KEY",
    "RENAME KEY KEY",
    "RENAMENX KEY KEY",
    "COPY KEY KEY",
    "COPY KEY KEY REPLACE",
    "COPY KEY KEY DB 1 REPLACE",
    "MOVE KEY 1",
    "MOVE KEY 0",
    "SELECT 0",
    "SELECT 1",
    "EXPIREAT KEY TIME",
    "PEXPIREAT KEY TIME",
    "PEXPIREAT KEY TIME NX",
    "PEXPIREAT KEY TIME XX",
    "PEXPIREAT KEY TIME GT",
    "PEXPIREAT KEY TIME LT",
    "PEXPIREAT KEY TIME XX LT",
    "EXPIRETIME KEY",
    "PEXPIRETIME KEY",
    "PERSIST KEY",
};

constexpr std::string_view kAllRandomValues[] = {
    "",     "v",      "0",           "1",   "-1",   "10",
    "3.5",  "-0.125", "hello world", "1e2", "\r\n", "9223372036854775806",
    "LONG", "LONGER",
};

constexpr std::string_view kAllRandomNumbers[] = {
    "0",
    "1",
    "2",
    "-1",
    "-2",
    "5",
    "100",
    "-90",
    "1.25",
    "1e3",
    "x",
    "",
    "-9223372036854775808",
    "9223372036854775807",
    "9223372036854775808",
};

constexpr std::string_view kAllRandomTimes[] = {
    "1",
    "1000",
    "0",
    "-1",
    "4102444800",
    "4102444800000",
    "4102444801000",
    "4102444802500",
    "x",
    "9223372036854775807",
};

char FromHex(std::string_view two) {
  return static_cast<char>(std::strtol(std::string(two).c_str(), nullptr, 16));
}

// The byte that the escape behind the backslash at *at stands for; moves *at to its last byte.
char Escaped(std::string_view line, size_t* at) {
  const char c = line[++*at];
  if (c == 'n') return '\n';
  if (c == 'r') return '\r';
  if (c != 'x') return c;
  *at += 2;
  return FromHex(line.substr(*at - 1, 2));
}

}  // namespace

const std::span<const std::string_view> kRandomCommands = kAllRandomCommands;
const std::span<const std::string_view> kRandomValues = kAllRandomValues;
const std::span<const std::string_view> kRandomNumbers = kAllRandomNumbers;
const std::span<const std::string_view> kRandomTimes = kAllRandomTimes;

std::vector<Script> LoadScripts() {
  std::vector<Script> scripts;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    Script& script = scripts.emplace_back();
    script.name = entry.path().stem().string();
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) script.lines.push_back(line);
  }
  std::ranges::sort(scripts, {}, &Script::name);
  return scripts;
}

std::vector<std::string> Split(std::string_view line) {
  std::vector<std::string> words;
  for (size_t i = 0; i < line.size();) {
    if (line[i] == ' ') {
      ++i;
      continue;
    }
    std::string& word = words.emplace_back();
    const bool quoted = line[i] == '"';
    if (quoted) ++i;
    for (; i < line.size() && line[i] != (quoted ? '"' : ' '); ++i) {
      word += quoted && line[i] == '\\' ? Escaped(line, &i) : line[i];
    }
    if (quoted) ++i;
  }
  return words;
}

}  // namespace warren::test
