// What does a connection remember between commands?
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "backend/command.h"
#include "backend/reply.h"

namespace warren {

enum class CloseReason : uint8_t { kNone, kClient, kQuit, kKilled, kIdle, kProtocol, kOutputLimit, kShutdown };

// One per backend process. Commands reach everything through it; later: the open transaction.
class Session {
 public:
  explicit Session(int socket_fd);

  Reply& reply() { return reply_; }
  uint32_t database() const { return database_; }
  void set_database(uint32_t database);            // and in ClientInfo, process title
  int64_t now_ms() const { return now_ms_; }       // the command's start; constant within a command
  uint64_t client_id() const { return client_id_; }
  bool authenticated() const { return authenticated_; }
  void set_authenticated(bool yes) { authenticated_ = yes; }
  void set_resp_version(int version);
  int resp_version() const { return reply_.resp3() ? 3 : 2; }

  // The connection is closed after the replies so far are sent.
  void Close(CloseReason reason) { close_ = reason; }
  CloseReason close_reason() const { return close_; }

  // RESET: as if newly connected (database 0, RESP2, no name, not authenticated).
  void Reset();

  // Finds, checks (arity, authentication) and runs one command, appending exactly one reply.
  void Execute(Args args);

  // Replies so far of the batch under way; see client_io.h for when they leave.
  std::string& output() { return output_; }

 private:
  std::string output_;
  Reply reply_{&output_};
  uint32_t database_ = 0;
  int64_t now_ms_ = 0;
  uint64_t client_id_ = 0;
  bool authenticated_ = false;
  CloseReason close_ = CloseReason::kNone;
  int socket_fd_;
};

// The whole life of a backend: greets nobody, serves commands until the client or the server ends
// it. Returns the process's exit code. The slot is bound, handlers are installed.
int BackendMain(int socket_fd);

}  // namespace warren
