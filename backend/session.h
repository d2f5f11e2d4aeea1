// What does a connection remember between commands?
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "backend/command.h"
#include "backend/multi_queue.h"
#include "backend/reply.h"
#include "backend/watch_list.h"
#include "base/ascii.h"
#include "base/function_ref.h"
#include "base/result.h"
#include "shmem/proc.h"
#include "storage/store.h"

namespace warren {

class Transaction;
struct TransactionOptions;
struct LockWait;

enum class CloseReason : uint8_t {
  kNone,
  kClient,
  kQuit,
  kKilled,
  kIdle,
  kProtocol,
  kOutputLimit,
  kShutdown
};

// CLIENT REPLY: which commands' replies the client wants to see. kSkipThis is kSkipNext while that
// next command runs.
enum class ReplyMode : uint8_t { kOn, kOff, kSkipNext, kSkipThis };

// One per backend process. Commands reach everything through it.
class Session {
 public:
  // `socket_fd` may be -1 where there is no client (tests).
  explicit Session(int socket_fd);
  ~Session();  // every lock is let go
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Reply& reply() { return reply_; }
  const Reply& reply() const { return reply_; }
  uint32_t database() const { return database_; }
  void set_database(uint32_t database);       // and in ClientInfo, process title
  int64_t now_ms() const { return now_ms_; }  // the command's start; constant within a command
  void RenewTime();  // after a wait; not in a BEGIN's transaction, where time stands still
  uint64_t client_id() const { return client_id_; }
  int socket_fd() const { return socket_fd_; }
  bool authenticated() const { return authenticated_; }
  void set_authenticated(bool yes) { authenticated_ = yes; }
  // Authenticated, or no password is demanded.
  bool MayExecute() const;
  void set_resp_version(int version);
  int resp_version() const { return reply_.resp3() ? 3 : 2; }
  // Whether replies wait until the changes they speak of are durable: as this connection says, or
  // else as the settings do.
  bool synchronous_commit() const;
  void set_synchronous_commit(std::optional<bool> on) { synchronous_commit_ = on; }
  // Called before any byte of a batch's replies leaves. If the log fails, errors take the place of
  // all replies since the last call that succeeded: nobody may be told that the changes are made.
  void MakeDurable();
  // The same in the middle of a command, for the replies before it, which stay where they are.
  // False: the log fails, and they may not leave.
  bool ConfirmFormerReplies();
  // Where the command under way began to reply.
  size_t command_start() const { return command_start_; }
  // Called before each sleep for a lock, so that earlier replies need not wait for it.
  void set_before_lock_wait(FunctionRef<void()> call) { before_lock_wait_ = call; }
  void set_reply_mode(ReplyMode mode) { reply_mode_ = mode; }
  ReplyMode reply_mode() const { return reply_mode_; }

  // -- Transactions (session_transaction.cpp).

  // The one in force, BEGIN's or a batch: keyspace.h goes through it. Null: none.
  Transaction* transaction() { return transaction_; }
  void set_transaction(Transaction* batch) { transaction_ = batch; }  // batch.h
  // Between BEGIN and its end, aborted or not.
  bool in_transaction() const { return interactive_ != nullptr; }
  void Begin(const TransactionOptions& options);
  Status Commit();
  void Rollback();
  // The client has been thinking for too long: aborts, so that nobody waits for it any more.
  void AbortIdle();
  // Is there anything that others may be waiting for while the client thinks?
  bool HoldsTransactionLocks() const;
  // Everything, whatever its scope: this session has come to its end.
  void ReleaseLocks();

  // -- MULTI and WATCH (session_multi.cpp). Whoever changes one of them shows it to CLIENT LIST.
  MultiQueue& multi() { return multi_; }
  WatchList& watches() { return watches_; }
  void ShowMulti();
  // What was queued and watched is forgotten.
  void EndMulti();

  // How this session waits for locks: by the settings, or what SESSION SET says instead.
  LockWait lock_wait();
  int64_t lock_timeout_ms() const;
  int64_t deadlock_timeout_ms() const;
  void set_lock_timeout_ms(std::optional<int64_t> ms) { lock_timeout_ms_ = ms; }
  void set_deadlock_timeout_ms(std::optional<int64_t> ms) { deadlock_timeout_ms_ = ms; }

  // What others see of this session: in its process slot, or a private one where there is none.
  ClientInfo& client() { return *client_; }

  // The connection is closed after the replies so far are sent.
  void Close(CloseReason reason) { close_ = reason; }
  CloseReason close_reason() const { return close_; }

  // Sees to what a wake-up or signal was sent for; the session is closed if that is what it says.
  void AttendToWakeUp();

  // Until `deadline_us` (MonotonicUs), or until this session is closed by a wake-up: then false.
  bool SleepUntil(int64_t deadline_us);

  // For CLIENT LIST: bytes received but not executed yet, and replies not sent yet.
  void ShowBuffers(size_t query_bytes, size_t output_bytes);

  // RESET: as if newly connected (database 0, RESP2, no name, not authenticated).
  void Reset();

  // Starts the clock: what Execute measures begins here or at the end of the command before.
  void BeginBatch();

  // Finds, checks (arity, authentication) and runs one command, appending exactly one reply.
  void Execute(Args args);
  // Is it SET with a key and a value, and nothing else?
  static bool IsPlainSet(Args args) { return args.size() == 3 && EqualsIgnoreCase(args[0], "set"); }
  // Runs the first of several plain SETs that follow each other, as many as are done together more
  // cheaply than one by one (Store::PutAtOnce), as Execute would. How many; 0: none.
  size_t ExecuteSets(std::span<const KeyPut> sets);
  // Runs one of a batch's commands as Execute would, but within the transaction in force, at the
  // time of the batch, and without the checks.
  void RunInBatch(const CommandInfo& info, Args args);

  // Replies so far of the batch under way; see client_io.h for when they leave.
  std::string& output() { return output_; }

 private:
  bool EndRequested() const;
  void NoteReply(size_t start);
  void RefuseUnconfirmed(const Error& error);
  void Dispatch(Args args);
  // Refused by the transaction that is open? The error is written then.
  bool RefusedInside(const CommandInfo& info);
  void Queue(const CommandInfo& info, Args args);
  void RejectExec(std::string_view text);
  void Reject(const CommandInfo& info, std::string_view text);
  void Run(const CommandInfo& info, Args args);
  void RunHandler(const CommandInfo& info, Args args);
  void CountCommand(const CommandInfo& info, int64_t took_ns);
  void CallHandler(const CommandInfo& info, Args args);
  void RunStatement(const CommandInfo& info, Args args);
  void RejectUnknown(Args args, const CommandInfo* container);
  void ShowCommand(const CommandInfo& info);
  int64_t LapNs();
  void ShowNewClient();

  std::string output_;
  Reply reply_{&output_};
  uint32_t database_ = 0;
  int64_t now_ms_ = 0;
  uint64_t client_id_ = 0;
  bool authenticated_ = false;
  ReplyMode reply_mode_ = ReplyMode::kOn;
  std::optional<bool> synchronous_commit_;
  std::optional<int64_t> lock_timeout_ms_;
  std::optional<int64_t> deadlock_timeout_ms_;
  std::unique_ptr<Transaction> interactive_;
  Transaction* transaction_ = nullptr;
  MultiQueue multi_;
  WatchList watches_;
  struct Attend {
    Session* session;
    Status operator()() const;
  } attend_{this};
  // Replies in output_ that speak of changes which may not be durable, and where they begin.
  size_t unconfirmed_replies_ = 0;
  size_t unconfirmed_from_ = 0;
  size_t command_start_ = 0;
  std::optional<FunctionRef<void()>> before_lock_wait_;
  CloseReason close_ = CloseReason::kNone;
  int socket_fd_;
  ClientInfo* client_;
  const CommandInfo* shown_command_ = nullptr;
  const CommandInfo* titled_command_ = nullptr;  // null: the title shows something else

  int64_t lap_started_ns_ = 0;  // MonotonicNs of the last command's end
  int64_t unreported_ns_ = 0;   // below a microsecond, carried to the next command
  int64_t wall_offset_us_ = 0;  // wall clock less monotonic clock
  int64_t wall_offset_until_ns_ = 0;
};

// The whole life of a backend: greets nobody, serves commands until the client or the server ends
// it. Returns the process's exit code. The slot is bound, handlers are installed.
int BackendMain(int socket_fd);

}  // namespace warren
