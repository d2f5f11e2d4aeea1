// How does a backend serve its client, from the first byte to the last?
//
//   receive -> parse and execute everything that came -> send -> receive ...
//
// See also: session.h (one command), client_io.h (bytes), wait_policy.h (waiting).
#pragma once

#include <array>
#include <span>

#include "backend/client_io.h"
#include "backend/protocol.h"
#include "backend/session.h"
#include "storage/leaf_hint.h"

namespace warren {

class ClientConnection {
 public:
  explicit ClientConnection(int socket_fd);

  // Until the client or the server ends the connection.
  void Serve();

  CloseReason close_reason() const { return session_.close_reason(); }

 private:
  bool Open() const { return session_.close_reason() == CloseReason::kNone; }
  bool OverOutputLimit() const { return session_.reply().overflowed(); }
  void RenewLimits();
  RequestParser::Outcome NextRequest();
  std::span<const PeekedRequest> Peeked() const;
  void ForgetPeeked();
  void LookAhead();
  void Execute();
  void ExecuteReceived();
  void Send();
  void SendEarly();
  void SendFormerReplies();
  void WaitToSend();
  void SendRest();
  void Receive();
  void ReleaseMemoryOnceIdle();
  int64_t TransactionPatienceMs() const;
  void WaitInTransaction();
  void TakeIn(IoEvent event, size_t received);
  void Finish();

  // What the session calls while this lives.
  struct BeforeLockWait {
    ClientConnection* connection;
    void operator()() const { connection->SendFormerReplies(); }
  };

  ClientIo io_;
  Session session_;
  BeforeLockWait before_lock_wait_{this};
  RequestParser parser_;
  RequestLimits limits_;
  uint32_t limits_of_generation_ = 0;  // of the settings
  int64_t executed_us_ = 0;            // MonotonicUs of the last command's end, in a transaction
  bool input_ended_ = false;
  // Requests behind the present one are those from the taken_-th to the peeked_count_-th.
  std::array<PeekedRequest, kMostPrefetched - 1> peeked_;
  size_t peeked_count_ = 0;
  size_t taken_ = 0;
  bool stalled_ = false;  // the client has taken no replies for a while, though some wait for it
};

}  // namespace warren
