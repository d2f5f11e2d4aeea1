// Which commands are there? One table feeds dispatch, COMMAND and docs/commands.md.
//
// Each group's header (commands_string.h, commands_server.h, ...) declares its handlers and holds
// its rows; command_table.cpp merges and sorts the groups at compile time and refuses duplicates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace warren {

class Session;
struct WantedLock;

// args[0] is the command's name as sent; for sub-commands args[1] is theirs.
using Args = std::span<const std::string_view>;
using CommandHandler = void (*)(Session& session, Args args);
// Adds the locks that the command may need in this database (wanted_locks.h).
using LockCollector = void (*)(Args args, uint32_t database, std::vector<WantedLock>* wanted);

enum CommandFlags : uint32_t {
  kWrite = 1u << 0,
  kReadOnly = 1u << 1,
  kDenyOom = 1u << 2,
  kAdmin = 1u << 3,
  kNoAuth = 1u << 4,  // allowed before AUTH
  kFast = 1u << 5,
  kLoading = 1u << 6,
  kStale = 1u << 7,
  kMovableKeys = 1u << 8,
  kBlockingFlag = 1u << 9,
  kAllowBusy = 1u << 10,
  kDangerous = 1u << 11,  // shown as an ACL category only
  kNoScript = 1u << 12,
  kNoAsyncLoading = 1u << 13,
  kSkipSlowlog = 1u << 14,
  kNoMulti = 1u << 15,       // refused between MULTI and EXEC: it waits, or can't be undone
  kNotQueued = 1u << 16,     // runs at once between MULTI and EXEC, too; not shown
  kWhileAborted = 1u << 17,  // runs in an aborted transaction, too; not shown
  kBatch = 1u << 18,         // changes several keys as one (batch.h); not shown
  kOwnBatch = 1u << 19,      // with kBatch: its handler sees to that itself; not shown
};

struct CommandInfo {
  std::string_view name;  // lower case; "config|get" for sub-commands
  int arity = 0;          // as in Redis: exact, or -n for at least n; counts the name(s)
  uint32_t flags = 0;
  int first_key = 0, last_key = 0, key_step = 0;
  std::string_view group;   // "string", "generic", "server", "connection", "transactions", ...
  std::string_view syntax;  // "SET key value [NX|XX] ..."
  std::string_view summary;
  std::string_view since;  // the Redis version that has it, or "warren 0.1"
  std::string_view complexity;
  CommandHandler handler =
      nullptr;                    // null for a container ("config") whose sub-commands have theirs
  LockCollector locks = nullptr;  // null: its keys, S or X as the command reads or writes
  // Why it is refused between BEGIN and the transaction's end; empty: it is not.
  std::string_view not_in_transaction = {};
};

// Sorted by name, unique (static_assert'ed); sub-commands follow their container.
std::span<const CommandInfo> CommandTable();

// The row for `args`: of the sub-command where there is one. A container's own row when it is
// called without a sub-command. Null when unknown; *container is then set to the container's row if
// only the sub-command is unknown, else to null.
const CommandInfo* FindCommand(Args args, const CommandInfo** container);

// By its name in the table, any case; null when unknown.
const CommandInfo* FindCommandByName(std::string_view name);

// The rows of the sub-commands of `container`; empty when it has none.
std::span<const CommandInfo> SubcommandsOf(const CommandInfo& container);

inline size_t CommandIndex(const CommandInfo& info) {
  return static_cast<size_t>(&info - CommandTable().data());
}

inline bool ArityFits(const CommandInfo& info, size_t argument_count) {
  return info.arity >= 0 ? argument_count == static_cast<size_t>(info.arity)
                         : argument_count >= static_cast<size_t>(-info.arity);
}

}  // namespace warren
