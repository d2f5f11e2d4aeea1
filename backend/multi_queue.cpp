#include "backend/multi_queue.h"

#include <cstring>
#include <utility>

namespace warren {
namespace {

size_t ArgumentBytes(Args args) {
  size_t bytes = 0;
  for (const std::string_view arg : args) bytes += arg.size();
  return bytes;
}

// Of memory, so that many small commands are not kept for nothing.
uint64_t QueuedBytes(Args args) {
  return sizeof(QueuedCommand) + args.size() * sizeof(args[0]) + ArgumentBytes(args);
}

}  // namespace

QueuedCommand::QueuedCommand(const CommandInfo& command, Args arguments)
    : info(&command), bytes(std::make_unique_for_overwrite<char[]>(ArgumentBytes(arguments))) {
  args.reserve(arguments.size());
  char* to = bytes.get();
  for (const std::string_view argument : arguments) {
    // An empty argument may have no address.
    if (!argument.empty()) std::memcpy(to, argument.data(), argument.size());
    args.emplace_back(to, argument.size());
    to += argument.size();
  }
}

Status MultiQueue::Add(const CommandInfo& info, Args args, uint64_t max_bytes) {
  const uint64_t more = QueuedBytes(args);
  if (more > max_bytes || bytes_ > max_bytes - more) {
    return MakeError(ErrorCode::kGeneric,
                     "the commands queued since MULTI would take more than client_query_limit ({} "
                     "bytes)",
                     max_bytes);
  }
  commands_.emplace_back(info, args);
  bytes_ += more;
  return {};
}

}  // namespace warren
