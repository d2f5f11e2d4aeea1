// Which locks may a command need, as far as its arguments say?
//
// Collected before a batch begins (batch.h), so that all are taken in one order. Tags refer to the
// arguments.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "backend/command.h"
#include "shmem/lock_table.h"

namespace warren {

using WantedLocks = std::vector<WantedLock>;

// S or X on a key, with the mode on its database that goes with it.
void WantKey(uint32_t database, std::string_view key, TxLockMode mode, WantedLocks* wanted);
void WantDatabase(uint32_t database, TxLockMode mode, WantedLocks* wanted);

// What the command may lock if it runs in `database`: as its row's `locks` function says, else X on
// the keys of a write command and S on those of another.
void CollectLocks(const CommandInfo& info, Args args, uint32_t database, WantedLocks* wanted);

// For rows of commands that read a whole database.
void WantWholeDatabase(Args args, uint32_t database, WantedLocks* wanted);

}  // namespace warren
