#include "base/process_title.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/per_process.h"

namespace warren {
namespace {

struct Title {
  char* start = nullptr;   // the first argument's first byte
  size_t capacity = 0;     // the last byte stays 0
  size_t base_bytes = 0;   // of title without activity
  size_t shown_bytes = 0;  // in all: what lies beyond is 0
};
WARREN_PER_PROCESS Title title;

// The environment and the program's name are used later by libc: they get new homes.
void MoveEnvironment() {
  size_t count = 0;
  while (environ[count] != nullptr) ++count;
  char** copy = new char*[count + 1];
  for (size_t i = 0; i < count; ++i) copy[i] = strdup(environ[i]);
  copy[count] = nullptr;
  environ = copy;
}

size_t Put(size_t at, std::string_view text) {
  const size_t bytes = std::min(text.size(), title.capacity - 1 - at);
  std::memcpy(title.start + at, text.data(), bytes);
  return at + bytes;
}

void EndAt(size_t end) {
  if (end < title.shown_bytes) std::memset(title.start + end, 0, title.shown_bytes - end);
  title.shown_bytes = end;
}

}  // namespace

void InitProcessTitle(int argc, char** argv) {
  if (title.start != nullptr || argc < 1) return;
  char* end = argv[0];
  const auto extend = [&end](char* text) {
    if (text == end) end = text + std::strlen(text) + 1;  // only while the strings lie side by side
  };
  for (int i = 0; i < argc; ++i) extend(argv[i]);
  for (char** variable = environ; *variable != nullptr; ++variable) extend(*variable);
  if (end == argv[0]) return;

  MoveEnvironment();
  program_invocation_name = strdup(program_invocation_name);
  program_invocation_short_name = program_invocation_name;
  title = {.start = argv[0],
           .capacity = static_cast<size_t>(end - argv[0]),
           .base_bytes = 0,
           .shown_bytes = static_cast<size_t>(end - argv[0])};
  for (int i = 1; i < argc; ++i) argv[i] = nullptr;
}

void SetProcessTitle(std::string_view text) {
  if (title.start == nullptr) return;
  title.base_bytes = Put(Put(0, "warren: "), text);
  EndAt(title.base_bytes);
}

void SetProcessTitleActivity(std::string_view activity) {
  if (title.start == nullptr) return;
  EndAt(Put(Put(title.base_bytes, " "), activity));
}

}  // namespace warren
