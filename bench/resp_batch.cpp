#include "bench/resp_batch.h"

#include <charconv>

namespace warren::bench {
namespace {

enum class Parsed { kComplete, kIncomplete, kBroken };

// Reads "<prefix>number\r\n" at *position and moves past it.
Parsed TakeNumber(std::string_view input, char prefix, size_t* position, size_t* number) {
  const size_t end = input.find("\r\n", *position);
  if (end == std::string_view::npos) return Parsed::kIncomplete;
  const char* first = input.data() + *position;
  const char* last = input.data() + end;
  if (*first != prefix || std::from_chars(first + 1, last, *number).ptr != last) {
    return Parsed::kBroken;
  }
  *position = end + 2;
  return Parsed::kComplete;
}

// Moves *position past one command and finds its name.
Parsed TakeCommand(std::string_view input, size_t* position, std::string_view* name) {
  size_t argument_count = 0;
  if (const Parsed p = TakeNumber(input, '*', position, &argument_count); p != Parsed::kComplete) {
    return p;
  }
  for (size_t i = 0; i < argument_count; ++i) {
    size_t bytes = 0;
    if (const Parsed p = TakeNumber(input, '$', position, &bytes); p != Parsed::kComplete) return p;
    if (input.size() < *position + bytes + 2) return Parsed::kIncomplete;
    if (i == 0) *name = input.substr(*position, bytes);
    *position += bytes + 2;
  }
  return Parsed::kComplete;
}

std::string_view AnswerTo(std::string_view name) {
  switch (name.empty() ? '\0' : name.front() | 0x20) {
    case 'g':
      return "$64\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n";
    case 'p':
      return "+PONG\r\n";
    case 'c':  // redis-benchmark asks CONFIG GET before it starts
      return "*2\r\n$4\r\nsave\r\n$0\r\n\r\n";
    default:
      return "+OK\r\n";
  }
}

}  // namespace

bool AnswerCompleteCommands(std::string* input, std::string* output) {
  size_t done = 0;
  while (done < input->size()) {
    size_t position = done;
    std::string_view name;
    const Parsed parsed = TakeCommand(*input, &position, &name);
    if (parsed == Parsed::kBroken) return false;
    if (parsed == Parsed::kIncomplete) break;
    output->append(AnswerTo(name));
    done = position;
  }
  input->erase(0, done);
  return true;
}

}  // namespace warren::bench
