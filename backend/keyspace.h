// How do commands reach keys, and how do the store's failures reach the client?
//
// With a transaction in force (Session::transaction) all of this goes through it; else straight to
// the store, where somebody's locks or a commit under way may be in the way: then it waits here.
//
// Handlers return a Status; RunCommand turns a failure into the one error reply, after taking back
// what the handler had already written. So a handler writes its reply as it goes and leaves at the
// first error.
//
// Locking: callbacks run as storage/store.h says, mostly under a page lock; those of the modifying
// calls may run more than once. Reply room for a value that is stored inline is made before, so
// that such a callback can append it without an allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "backend/command.h"
#include "backend/session.h"
#include "backend/wanted_locks.h"
#include "base/function_ref.h"
#include "base/result.h"
#include "storage/store.h"

namespace warren {

// "ERR ...", "NOSPACE ..." and so on by the error's code; a backend told to end closes as well.
void ReplyError(Session& session, const Error& error);

using StatusHandler = Status (*)(Session& session, Args args);

// The CommandHandler made of a handler that returns a Status.
template <StatusHandler handler>
void RunCommand(Session& session, Args args) {
  const size_t start = session.output().size();
  if (Status status = handler(session, args); !status.ok()) {
    session.output().resize(start);
    ReplyError(session, status.error());
  }
}

using ReadCallback = FunctionRef<void(const Current& current, uint64_t value_bytes)>;
using DecideCallback = FunctionRef<Change(const Current& current, uint64_t value_bytes)>;

// Looks up a key of the session's database for a read command and counts a hit or a miss. Calls
// `read` once in either case; the short form returns whether the key exists.
Status LookUp(Session& session, std::string_view key, NeedValue need, ReadCallback read);
Result<bool> LookUp(Session& session, std::string_view key);

// The same for several keys as they stand at one moment, each in its turn; in a read committed
// transaction with no commit of several keys in between. If that fails it begins
// again with index 0; what was replied since the call is cut off then.
using IndexedReadCallback = FunctionRef<void(size_t index, const Current& current)>;
Status LookUpTogether(Session& session, Args keys, NeedValue need, IndexedReadCallback read);

// The same uncounted, in any database: the reading half of a write command.
Status Peek(Session& session, uint32_t database, std::string_view key, NeedValue need,
            ReadCallback read);
Result<bool> Peek(Session& session, uint32_t database, std::string_view key);

// For a command that reads and writes in one step.
void CountLookUp(bool found);

// Store::Modify by a command that may create the key: one over max_key_size is refused.
Result<Change::Kind> Modify(Session& session, uint32_t database, std::string_view key,
                            NeedValue need, DecideCallback decide);
inline Result<Change::Kind> Modify(Session& session, std::string_view key, NeedValue need,
                                   DecideCallback decide) {
  return Modify(session, session.database(), key, need, decide);
}

// Store::Modify by a command that only changes or removes a key of the session's database.
Result<Change::Kind> ModifyExisting(Session& session, std::string_view key, NeedValue need,
                                    DecideCallback decide);

// Stores the key whatever was there.
Status Put(Session& session, uint32_t database, std::string_view key, std::string_view value,
           int64_t expire_at_ms);

// The same for keys of the session's database, key and value in turn: all at one moment. Of
// several values for a key the last one stays.
Status PutTogether(Session& session, Args pairs);

// Removes the key; was there one?
Result<bool> Erase(Session& session, uint32_t database, std::string_view key);

// What to make of `current` so that it holds `value` until `expire_at_ms`: no key, if that is past.
Change PutUnlessPast(const Session& session, const Current& current, std::string_view value,
                     int64_t expire_at_ms);

// The value with the key locked for writing until the transaction in force ends.
Status LookUpForUpdate(Session& session, std::string_view key, NeedValue need, ReadCallback read);

// -- Many keys of the session's database, as in storage/store.h.

// Calls `read`, which replies, so that it sees no half of any transaction. Outside of a
// serializable transaction it may be called again, with the replies cut off: it starts from
// scratch. The functions below go inside.
Status Undivided(Session& session, FunctionRef<Status()> read);
Status ScanKeys(Session& session, const Store::Range& range, NeedValue need,
                FunctionRef<bool(std::string_view key, const Current&)> visit);
Result<uint64_t> ScanKeysStep(Session& session, uint64_t cursor, uint32_t count,
                              FunctionRef<void(std::string_view key)> visit);
Result<std::optional<std::string>> FindRandomKey(Session& session);
Result<uint64_t> CountKeys(Session& session);

// Removes every key of a database, in the transaction in force: there is one.
Status EmptyDatabase(Session& session, uint32_t database);

// "DB index is out of range"
Result<uint32_t> DatabaseArgument(std::string_view text);

Error NoSuchKey();

}  // namespace warren
