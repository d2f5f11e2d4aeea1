#include "backend/connection.h"

#include <malloc.h>

#include <algorithm>
#include <array>

#include "base/clock.h"
#include "base/fault_point.h"
#include "conf/settings.h"
#include "conf/shared_settings.h"
#include "shmem/latch.h"
#include "shmem/stats.h"

namespace warren {
namespace {

// With more replies than this waiting, some are sent before the batch is done.
constexpr size_t kEarlySendBytes = 256 * 1024;
// A client that takes nothing for this long may be stuck in sending: its requests are taken in.
constexpr int64_t kStallMs = 50;
// How long a connection stays for replies that its client may not fetch any more.
constexpr int64_t kLastRepliesMs = 10'000;
// Buffers larger than this are given back after a moment without requests.
constexpr size_t kKeptBufferBytes = 64 * 1024;
constexpr int64_t kIdleReleaseMs = 1000;

StatId CloseCounter(CloseReason reason) {
  switch (reason) {
    case CloseReason::kQuit:
      return StatId::kConnectionsClosedQuit;
    case CloseReason::kKilled:
    case CloseReason::kShutdown:
      return StatId::kConnectionsClosedKilled;
    case CloseReason::kIdle:
      return StatId::kConnectionsClosedIdle;
    case CloseReason::kProtocol:
      return StatId::kConnectionsClosedProtocol;
    case CloseReason::kOutputLimit:
      return StatId::kConnectionsClosedOutputLimit;
    case CloseReason::kNone:
    case CloseReason::kClient:
      break;
  }
  return StatId::kConnectionsClosedClient;
}

}  // namespace

ClientConnection::ClientConnection(int socket_fd) : io_(socket_fd), session_(socket_fd) {
  session_.set_before_lock_wait(before_lock_wait_);
  RenewSettings();
  RenewLimits();
}

void ClientConnection::RenewLimits() {
  ForgetPeeked();
  const Settings& settings = GetSettings();
  limits_.bulk_bytes =
      std::max<uint64_t>(settings.max_value_size_bytes, settings.max_key_size_bytes);
  limits_.query_bytes = settings.client_query_limit_bytes;
  limits_of_generation_ = SettingsGeneration();
}

std::span<const PeekedRequest> ClientConnection::Peeked() const {
  return std::span(peeked_).subspan(taken_, peeked_count_ - taken_);
}

// One that was peeked need not be parsed again.
RequestParser::Outcome ClientConnection::NextRequest() {
  if (taken_ == peeked_count_) return parser_.Next(limits_);
  const PeekedRequest& next = peeked_[taken_++];
  if (!next.complete()) return parser_.Next(limits_);
  parser_.Take(next);
  return RequestParser::Outcome::kRequest;
}

// What is parsed next is parsed by the limits and from the bytes that there are then.
void ClientConnection::ForgetPeeked() { taken_ = peeked_count_ = 0; }

// What the present request and those that came with it will read first is asked for before it is
// needed. Whether the first arguments are keys, and of this database, is not asked: of those that
// are not, nothing is in the cache.
void ClientConnection::LookAhead() {
  if (taken_ != peeked_count_ || !parser_.HasMore()) return;
  taken_ = 0;
  peeked_count_ = parser_.Peek(limits_, peeked_);
  std::array<std::string_view, kMostPrefetched> keys;
  size_t count = 0;
  if (parser_.args().size() > 1) keys[count++] = parser_.args()[1];
  for (const PeekedRequest& request : Peeked()) {
    if (request.count > 1) keys[count++] = request.arguments[1];
  }
  PrefetchLeaves(session_.database(), std::span(keys).first(count));
}

// The request handed out, and with it the SETs that it and the requests behind it begin with.
void ClientConnection::Execute() {
  std::array<KeyPut, kMostPutAtOnce> sets;
  size_t count = 0;
  const auto add = [&](Args args) {
    const bool is_set = count < sets.size() && Session::IsPlainSet(args);
    if (is_set) sets[count++] = {args[1], args[2]};
    return is_set;
  };
  if (add(parser_.args())) {
    for (const PeekedRequest& request : Peeked()) {
      if (!request.complete() || !add(request.args())) break;
    }
  }
  const size_t executed = count > 1 ? session_.ExecuteSets(std::span(sets).first(count)) : 0;
  if (executed == 0) return session_.Execute(parser_.args());
  if (executed == 1) return;
  taken_ += executed - 1;
  parser_.Take(peeked_[taken_ - 1]);
}

void ClientConnection::ExecuteReceived() {
  session_.BeginBatch();
  ForgetPeeked();
  while (Open()) {
    RenewSettings();
    // A CONFIG SET of this session has renewed them itself.
    if (limits_of_generation_ != SettingsGeneration()) RenewLimits();
    const bool authenticated = session_.MayExecute();
    if (limits_.authenticated != authenticated) ForgetPeeked();
    limits_.authenticated = authenticated;
    switch (NextRequest()) {
      case RequestParser::Outcome::kNeedMore:
        return;
      case RequestParser::Outcome::kError:
        session_.reply().Error("ERR " + parser_.error());
        return session_.Close(CloseReason::kProtocol);
      case RequestParser::Outcome::kRequest:
        LookAhead();
        Execute();
        if (session_.in_transaction()) executed_us_ = MonotonicUs();
    }
    if (Latch::Pending()) session_.AttendToWakeUp();
    if (OverOutputLimit()) return session_.Close(CloseReason::kOutputLimit);
    if (io_.Unsent(session_.output()) > kEarlySendBytes) SendEarly();
  }
}

void ClientConnection::Send() {
  const size_t before = io_.Unsent(session_.output());
  if (before == 0) return;
  session_.MakeDurable();
  if (!io_.Send(&session_.output())) return session_.Close(CloseReason::kClient);
  const size_t unsent = io_.Unsent(session_.output());
  if (unsent < before) stalled_ = false;
  session_.ShowBuffers(parser_.PendingBytes(), unsent);
  const uint64_t limit = GetSettings().client_output_limit_bytes;
  session_.reply().set_limit(limit == 0 ? 0 : limit + io_.sent());
}

// A client that reads at its own pace is waited for, so that its replies don't pile up here.
void ClientConnection::SendEarly() {
  ForgetPeeked();  // more may be received meanwhile
  Send();
  while (Open() && !stalled_ && io_.Unsent(session_.output()) > kEarlySendBytes) WaitToSend();
}

// A command is about to sleep until somebody else lets a lock go. Whoever sent more than that
// command shall have the replies to what came before it: on them may depend when the lock is let
// go.
void ClientConnection::SendFormerReplies() {
  const size_t end = session_.command_start();
  if (io_.sent() < end && session_.ConfirmFormerReplies()) {
    io_.SendFront(session_.output(), end);
  }
}

// Replies are left over. As long as the client takes some now and then, nothing else is done; then
// its requests are taken in as well.
void ClientConnection::WaitToSend() {
  const int64_t idle_ms = GetSettings().client_idle_timeout_ms;
  const bool input = stalled_ && !input_ended_;
  int64_t timeout_ms = kStallMs;
  if (stalled_) timeout_ms = input_ended_ ? kLastRepliesMs : (idle_ms == 0 ? -1 : idle_ms);
  const int64_t patience_ms = TransactionPatienceMs();
  const bool patience_first = patience_ms >= 0 && (timeout_ms < 0 || patience_ms < timeout_ms);
  if (patience_first) timeout_ms = patience_ms;
  switch (io_.Wait(input, true, timeout_ms)) {
    case IoEvent::kInterrupted:
      return session_.AttendToWakeUp();
    case IoEvent::kTimeout:
      if (patience_first) {
        if (TransactionPatienceMs() == 0) session_.AbortIdle();
        return;
      }
      if (stalled_) session_.Close(input_ended_ ? CloseReason::kClient : CloseReason::kIdle);
      stalled_ = true;
      return;
    case IoEvent::kReady:
      Send();
      if (input && Open()) {
        size_t received = 0;
        const IoEvent event = io_.ReceiveNow(parser_.WritableSpace(), &received);
        if (event != IoEvent::kTimeout) TakeIn(event, received);
      }
      return;
    case IoEvent::kEnd:
    case IoEvent::kBroken:
      return session_.Close(CloseReason::kClient);
  }
}

void ClientConnection::TakeIn(IoEvent event, size_t received) {
  switch (event) {
    case IoEvent::kReady:
      return parser_.Received(received);
    case IoEvent::kEnd:
      // It may still read: what it asked for is sent before the connection ends.
      input_ended_ = true;
      return;
    case IoEvent::kBroken:
      return session_.Close(CloseReason::kClient);
    case IoEvent::kTimeout:
      return session_.Close(CloseReason::kIdle);
    case IoEvent::kInterrupted:
      return session_.AttendToWakeUp();
  }
}

// After a moment without requests; the extra system call is nothing beside the large request that
// made the buffers grow.
void ClientConnection::ReleaseMemoryOnceIdle() {
  if (parser_.Capacity() <= kKeptBufferBytes && session_.output().capacity() <= kKeptBufferBytes) {
    return;
  }
  if (io_.Wait(true, false, kIdleReleaseMs) != IoEvent::kTimeout) return;
  parser_.Shrink();
  session_.output().shrink_to_fit();
  malloc_trim(0);
}

// How long others may still be kept waiting for this client's next request; -1: for ever, or nobody
// is.
int64_t ClientConnection::TransactionPatienceMs() const {
  const int64_t timeout_ms = GetSettings().idle_in_transaction_timeout_ms;
  if (timeout_ms == 0 || !session_.HoldsTransactionLocks()) return -1;
  return std::max<int64_t>(timeout_ms - (MonotonicUs() - executed_us_) / 1000, 0);
}

// Returns when there is something to receive, when this process was woken, or with the transaction
// aborted: then others need not wait any more, and this client may take its time.
void ClientConnection::WaitInTransaction() {
  for (;;) {
    RenewSettings();
    const int64_t patience_ms = TransactionPatienceMs();
    if (patience_ms < 0) return;
    switch (io_.Wait(true, false, patience_ms)) {
      case IoEvent::kTimeout:
        if (TransactionPatienceMs() == 0) return session_.AbortIdle();
        break;
      case IoEvent::kInterrupted:
        session_.AttendToWakeUp();
        if (!Open()) return;
        break;
      case IoEvent::kReady:
      case IoEvent::kEnd:
      case IoEvent::kBroken:
        return;
    }
  }
}

void ClientConnection::Receive() {
  if (session_.in_transaction()) WaitInTransaction();
  if (!Open()) return;
  if (parser_.PendingBytes() == 0) ReleaseMemoryOnceIdle();
  size_t received = 0;
  const IoEvent event = io_.Receive(parser_.WritableSpace(), &received);
  TakeIn(event, received);
}

void ClientConnection::Serve() {
  session_.AttendToWakeUp();  // what was asked for before there was a handler
  while (Open()) {
    ExecuteReceived();
    Send();
    if (!Open()) break;
    if (io_.Unsent(session_.output()) > 0) {
      WaitToSend();
    } else if (input_ended_) {
      session_.Close(CloseReason::kClient);
    } else {
      Receive();
    }
  }
  Finish();
}

// The replies to what was executed still go out, as far as the client takes them soon.
void ClientConnection::SendRest() {
  session_.MakeDurable();
  while (io_.Unsent(session_.output()) > 0) {
    if (!io_.Send(&session_.output())) return;
    if (io_.Unsent(session_.output()) == 0) return;
    const int64_t patience_ms = Latch::Pending() ? 0 : kLastRepliesMs;
    if (io_.Wait(false, true, patience_ms) != IoEvent::kReady) return;
  }
}

void ClientConnection::Finish() {
  FAULT_POINT(kSessionEnd);
  session_.ReleaseLocks();  // before the client is waited for once more
  const CloseReason reason = session_.close_reason();
  if (reason != CloseReason::kOutputLimit && reason != CloseReason::kClient) SendRest();
  if (reason == CloseReason::kProtocol) io_.CloseGently();
  Stats::Add(CloseCounter(reason));
}

int BackendMain(int socket_fd) {
  ClientConnection connection(socket_fd);
  connection.Serve();
  return 0;
}

}  // namespace warren
