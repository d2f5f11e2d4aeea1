#include "backend/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "backend/batch.h"
#include "backend/client_io.h"
#include "backend/keyspace.h"
#include "backend/transaction.h"
#include "base/ascii.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/process_title.h"
#include "conf/settings.h"
#include "lwlock/lwlock.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/backup_source.h"
#include "storage/mini_transaction.h"
#include "storage/wal.h"

namespace warren {
namespace {

// The wall clock is read again this often; in between it is the monotonic clock plus an offset, so
// that one clock reading per command serves both the statistics and expiry.
constexpr int64_t kWallClockIntervalNs = 50'000'000;

ClientInfo* OwnClientInfo() {
  static ClientInfo detached{};
  Proc* self = ProcArray::SelfOrNull();
  return self != nullptr ? &self->client : &detached;
}

// As Redis quotes what it did not understand: at most 128 bytes of it.
std::string_view Clipped(std::string_view text) { return text.substr(0, 128); }

// Of a command that may have many keys in a row.
bool HasOneKey(const CommandInfo& info, Args args) {
  return info.last_key < 0 && args.size() <= static_cast<size_t>(info.first_key + info.key_step);
}

}  // namespace

Session::Session(int socket_fd) : socket_fd_(socket_fd), client_(OwnClientInfo()) {
  if (Segment::Exists()) client_id_ = 1 + Segment::Server().next_client_id.fetch_add(1);
  ShowNewClient();
  set_resp_version(2);
  set_database(0);
  set_authenticated(GetSettings().requirepass.empty());
  reply_.set_limit(GetSettings().client_output_limit_bytes);
}

// Everything that the slot's former process left there is replaced.
void Session::ShowNewClient() {
  const SocketAddresses addresses = AddressesOf(socket_fd_);
  client_->address.Set(addresses.remote);
  client_->local_address.Set(addresses.local);
  client_->unix_socket = addresses.unix_socket ? 1 : 0;
  client_->name.Set("");
  client_->library_name.Set("");
  client_->library_version.Set("");
  client_->last_command.Set("");
  client_->socket_fd = socket_fd_;
  client_->connected_us = client_->last_active_us = WallClockUs();
  client_->output_limit_hits = 0;
  client_->in_command = client_->no_evict = 0;
  ShowMulti();
  ShowBuffers(0, 0);
  client_->client_id = client_id_;
}

bool Session::MayExecute() const { return authenticated_ || GetSettings().requirepass.empty(); }

bool Session::EndRequested() const {
  const Proc* self = ProcArray::SelfOrNull();
  return self != nullptr && self->end_requested.load() == self->generation.load();
}

// Whoever set the latch or sent the signal has said elsewhere what it wants.
void Session::AttendToWakeUp() {
  Latch::TakeLatch();
  if (Latch::TakeReload()) {
    if (Status reopened = log::Reopen(); !reopened.ok()) {
      log::Warning("{}", reopened.error().message);
    }
  }
  if (Latch::TerminateRequested()) Close(CloseReason::kShutdown);
  if (EndRequested()) Close(CloseReason::kKilled);
}

bool Session::SleepUntil(int64_t deadline_us) {
  for (;;) {
    const int64_t left_us = deadline_us - MonotonicUs();
    if (left_us <= 0) return true;
    if (!Latch::Wait((left_us + 999) / 1000)) continue;
    AttendToWakeUp();
    if (close_ != CloseReason::kNone) return false;
  }
}

void Session::ShowBuffers(size_t query_bytes, size_t output_bytes) {
  client_->query_bytes.store(static_cast<uint32_t>(query_bytes), std::memory_order_relaxed);
  client_->output_bytes.store(output_bytes, std::memory_order_relaxed);
}

void Session::set_database(uint32_t database) {
  database_ = database;
  client_->database.store(database, std::memory_order_relaxed);
  SetProcessTitle(
      fmt::format("backend {} id{} db{}", client_->address.Get(), client_id_, database));
  titled_command_ = nullptr;
}

void Session::set_resp_version(int version) {
  reply_.set_resp_version(version);
  client_->resp_version.store(static_cast<uint8_t>(version), std::memory_order_relaxed);
}

bool Session::synchronous_commit() const {
  return synchronous_commit_.value_or(GetSettings().synchronous_commit);
}

void Session::MakeDurable() {
  if (LastChange() != 0 && !synchronous_commit()) {
    Wal::NoteAsynchronousChange();
  } else if (LastChange() != 0) {
    const Status flushed = Wal::Flush(LastChange());
    if (!flushed.ok()) RefuseUnconfirmed(flushed.error());
  }
  unconfirmed_replies_ = 0;
}

bool Session::ConfirmFormerReplies() {
  if (unconfirmed_replies_ == 0) return true;
  if (LastChange() != 0 && !synchronous_commit()) {
    Wal::NoteAsynchronousChange();
  } else if (LastChange() != 0 && !Wal::Flush(LastChange()).ok()) {
    return false;
  }
  unconfirmed_replies_ = 0;
  return true;
}

void Session::NoteReply(size_t start) {
  if (output_.size() > start && unconfirmed_replies_++ == 0) unconfirmed_from_ = start;
}

void Session::RefuseUnconfirmed(const Error& error) {
  if (unconfirmed_replies_ == 0) return;
  output_.resize(unconfirmed_from_);
  for (size_t i = 0; i < unconfirmed_replies_; ++i) {
    reply_.Error(fmt::format("IOERR {}; whether this change is kept shows then", error.message));
  }
}

void Session::Reset() {
  ReleaseLocks();
  EndMulti();
  set_lock_timeout_ms(std::nullopt);
  set_deadlock_timeout_ms(std::nullopt);
  set_synchronous_commit(std::nullopt);
  BackupSource::ReleaseLog();
  set_resp_version(2);
  set_database(0);
  set_reply_mode(ReplyMode::kOn);
  set_authenticated(GetSettings().requirepass.empty());
  client_->name.Set("");
  client_->no_evict.store(0, std::memory_order_relaxed);
}

void Session::BeginBatch() {
  lap_started_ns_ = MonotonicNs();
  titled_command_ = nullptr;
}

int64_t Session::LapNs() {
  const int64_t now = MonotonicNs();
  const int64_t lap = now - lap_started_ns_;
  lap_started_ns_ = now;
  return lap;
}

void Session::ShowCommand(const CommandInfo& info) {
  if (lap_started_ns_ >= wall_offset_until_ns_) {
    const int64_t offset_us = WallClockUs() - MonotonicUs();
    // The two clocks are not read at the same instant: for less than this, time must not go back.
    if (std::abs(offset_us - wall_offset_us_) >= 1000) wall_offset_us_ = offset_us;
    wall_offset_until_ns_ = lap_started_ns_ + kWallClockIntervalNs;
  }
  const int64_t wall_us = lap_started_ns_ / 1000 + wall_offset_us_;
  now_ms_ = interactive_ == nullptr ? wall_us / 1000 : interactive_->now_ms();
  client_->last_active_us.store(wall_us, std::memory_order_relaxed);
  client_->in_command.store(1, std::memory_order_relaxed);
  if (titled_command_ != &info) SetProcessTitleActivity(info.name);
  titled_command_ = &info;
  if (shown_command_ != &info) client_->last_command.Set(info.name);
  shown_command_ = &info;
}

void Session::Execute(Args args) {
  const size_t start = command_start_ = output_.size();
  if (reply_mode_ == ReplyMode::kSkipNext) reply_mode_ = ReplyMode::kSkipThis;
  Dispatch(args);
  if (reply_mode_ != ReplyMode::kOn) output_.resize(start);
  NoteReply(start);
  if (reply_mode_ == ReplyMode::kSkipThis) reply_mode_ = ReplyMode::kOn;
}

size_t Session::ExecuteSets(std::span<const KeyPut> sets) {
  static const CommandInfo& set = *FindCommandByName("set");
  const bool plain = transaction_ == nullptr && !multi_.open() && MayExecute() &&
                     reply_mode_ == ReplyMode::kOn && !g_fault_points_on;
  // Then no reply needs memory.
  const bool has_room = output_.capacity() - output_.size() >= sets.size() * sizeof "+OK\r\n";
  if (!plain || !has_room) return 0;
  const auto too_long = std::ranges::find_if(
      sets, [](const KeyPut& one) { return one.key.size() > GetSettings().max_key_size_bytes; });
  ShowCommand(set);
  const size_t done = Store::PutAtOnce(
      database_, sets.first(static_cast<size_t>(too_long - sets.begin())), now_ms_);
  client_->in_command.store(0, std::memory_order_relaxed);
  if (done == 0) return 0;
  const int64_t each_ns = LapNs() / static_cast<int64_t>(done);
  for (size_t i = 0; i < done; ++i) {
    command_start_ = output_.size();
    reply_.BeginCommand();
    reply_.Ok();
    CountCommand(set, each_ns);
    NoteReply(command_start_);
  }
  return done;
}

void Session::Dispatch(Args args) {
  const CommandInfo* container = nullptr;
  const CommandInfo* info = FindCommand(args, &container);
  reply_.BeginCommand();
  if (info == nullptr) return RejectUnknown(args, container);
  if (!ArityFits(*info, args.size())) {
    return Reject(*info, fmt::format("ERR wrong number of arguments for '{}' command", info->name));
  }
  if (!MayExecute() && (info->flags & kNoAuth) == 0) {
    Stats::Add(StatId::kAuthFailures);
    return Reject(*info, "NOAUTH Authentication required.");
  }
  if (in_transaction() && RefusedInside(*info)) return;
  multi_.open() && (info->flags & kNotQueued) == 0 ? Queue(*info, args) : Run(*info, args);
}

void Session::Reject(const CommandInfo& info, std::string_view text) {
  Stats::AddRejected(CommandIndex(info));
  multi_.Spoil();
  info.name == "exec" ? RejectExec(text) : reply_.Error(text);
}

void Session::Run(const CommandInfo& info, Args args) {
  ShowCommand(info);
  // FAULT's own pass: they must be able to clear the point.
  if (g_fault_points_on && !info.name.starts_with("fault|")) FAULT_POINT(kCommandRun);
  RunHandler(info, args);
  client_->in_command.store(0, std::memory_order_relaxed);
}

void Session::RunInBatch(const CommandInfo& info, Args args) {
  reply_.BeginCommand();
  RunHandler(info, args);
}

void Session::RunHandler(const CommandInfo& info, Args args) {
  const size_t start = output_.size();
  try {
    CallHandler(info, args);
  } catch (const std::bad_alloc&) {
    // With a lock held the exception may have left something half done that others rely on.
    CHECK(HeldLockCount() == 0, "out of memory in '{}' with locks held", info.name);
    output_.resize(start);
    const Error error{ErrorCode::kGeneric, "out of memory"};
    // It may have come in the middle of a change, and is not the last one.
    if (transaction_ != nullptr) transaction_->Abort(error, Transaction::Locks::kRelease);
    ReplyError(*this, error);
  }
  // What is left of a reply that was cut off could be read as another, whole one.
  if (reply_.overflowed()) output_.resize(start);
  CountCommand(info, LapNs());
}

void Session::CountCommand(const CommandInfo& info, int64_t took_ns) {
  unreported_ns_ += took_ns;
  Stats::Add(StatId::kCommands);
  Stats::AddCommand(CommandIndex(info), static_cast<uint64_t>(unreported_ns_ / 1000),
                    reply_.failed());
  unreported_ns_ %= 1000;
}

// Most commands are on one key and outside of transactions.
void Session::CallHandler(const CommandInfo& info, Args args) {
  if (transaction_ != nullptr) [[unlikely]] {
    (info.flags & kWrite) != 0 ? RunStatement(info, args) : info.handler(*this, args);
  } else if ((info.flags & (kBatch | kOwnBatch)) == kBatch && !HasOneKey(info, args)) {
    RunCommandAsBatch(*this, info, args);
  } else {
    info.handler(*this, args);
  }
}

void Session::RejectUnknown(Args args, const CommandInfo* container) {
  multi_.Spoil();
  if (container != nullptr) {
    return reply_.Error(fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", Clipped(args[1]),
                                    AsciiUpper(container->name)));
  }
  std::string shown;
  for (size_t i = 1; i < args.size() && shown.size() < 128; ++i) {
    shown += fmt::format("'{}' ", args[i].substr(0, 128 - shown.size()));
  }
  reply_.Error(fmt::format("ERR unknown command '{}', with args beginning with: {}",
                           Clipped(args[0]), shown));
}

}  // namespace warren
