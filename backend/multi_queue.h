// Which commands has the client queued since MULTI?
//
//           MULTI                 EXEC, DISCARD, RESET, the connection's end
//   closed ------> open ------------------------------------------------------> closed, empty
//                   |  ^
//                   +--+ a command: queued, or refused: then the queue is spoilt, and EXEC does
//                        nothing
//
// Limits: what the client may send at once it may also queue (client_query_limit). Arguments are
// copied, because those of a request live no longer than the request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "backend/command.h"
#include "base/result.h"

namespace warren {

struct QueuedCommand {
  QueuedCommand(const CommandInfo& command, Args arguments);

  const CommandInfo* info;
  std::vector<std::string_view> args;  // into `bytes`
  std::unique_ptr<char[]> bytes;
};

class MultiQueue {
 public:
  bool open() const { return open_; }
  void Open() { open_ = true; }
  // Closed and empty. Gives all memory back.
  void Close() { *this = MultiQueue(); }

  // A command was refused.
  void Spoil() { spoilt_ = open_; }
  bool spoilt() const { return spoilt_; }

  // kGeneric: it would hold more than `max_bytes`; nothing was added.
  Status Add(const CommandInfo& info, Args args, uint64_t max_bytes);
  std::span<const QueuedCommand> commands() const { return commands_; }

 private:
  bool open_ = false;
  bool spoilt_ = false;
  uint64_t bytes_ = 0;
  std::vector<QueuedCommand> commands_;
};

}  // namespace warren
