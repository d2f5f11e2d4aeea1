#include "tests/crash/live_world.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <deque>
#include <sstream>

#include "doctest/doctest.h"

namespace warren::test {
namespace {

constexpr int64_t kMs = 1'000'000;

std::string Encode(const LiveWords& words) {
  std::string bytes = fmt::format("*{}\r\n", words.size());
  for (const std::string& word : words) bytes += fmt::format("${}\r\n{}\r\n", word.size(), word);
  return bytes;
}

double Percentile(std::vector<double>& values, double part) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[static_cast<size_t>(part * double(values.size() - 1))];
}

std::string Distribution(std::vector<double>& values) {
  return fmt::format("median {:.2f} ms, 99th percentile {:.2f} ms, longest {:.2f} ms of {}",
                     Percentile(values, 0.5), Percentile(values, 0.99), Percentile(values, 1),
                     values.size());
}

int64_t StatOf(Connection& connection, const std::string& name) {
  const Reply reply = connection("STATS", name);
  return reply.elements.size() == 2 ? reply.elements[1].integer : -1;
}

void AppendTo(std::vector<double>& to, const std::vector<double>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// All or nothing of it matters, not how many seconds are left.
std::string Shown(const Reply& reply) {
  if (reply.type == Reply::kInteger)
    return reply.integer > 2 ? "many" : fmt::to_string(reply.integer);
  if (reply.nil()) return "none";
  return fmt::format("{}:{}", reply.text.size(), reply.text.substr(0, 20));
}

}  // namespace

LiveWorld::LiveWorld() {
  server_ = std::make_unique<Server>(std::vector<std::string>{
      "--crash_breaker_deaths", "0", "--shared_buffers", "1MB", "--max_connections", "20"});
  witness_ = server_->Connect();
  Fill();
  constexpr Neighbour::Kind kKinds[] = {Neighbour::kBank, Neighbour::kWriter, Neighbour::kClerk};
  for (size_t i = 0; i < neighbours_.size(); ++i) {
    neighbours_[i] = std::make_unique<Neighbour>(*server_, kKinds[i], clock_);
  }
}

LiveWorld::~LiveWorld() = default;

void LiveWorld::FreeReader::operator()(redisReader* reader) const { redisReaderFree(reader); }

void LiveWorld::Fill() {
  for (int i = 0; i < kLiveAccounts; ++i) REQUIRE(witness_("SET", LiveAccount(i), "100").ok());
}

void LiveWorld::ConnectVictim() {
  const int64_t began_ns = LiveClock::NowNs();
  victim_ = server_->Connect();
  REQUIRE(victim_("PING").text == "PONG");
  reconnects_ms_.push_back(static_cast<double>(LiveClock::NowNs() - began_ns) / 1e6);
  replies_read_.reset(redisReaderCreate());
  victim_pid_ = Server::BackendOf(victim_);
  REQUIRE(victim_pid_ > 0);
}

void LiveWorld::Prepare(const LiveOperation& operation) {
  std::vector<LiveWords> commands = {
      {"DEL", "live:v:a", "live:v:b", "live:v:c", "live:v:d", "live:v:e"},
      {"SELECT", "1"},
      {"DEL", "live:v:a", "live:v:b"},
      {"SELECT", "0"}};
  for (LiveWords& words : ParseCommands(operation.setup)) commands.push_back(std::move(words));
  for (const LiveWords& words : commands) witness_.Append(words);
  for (const LiveWords& words : commands) {
    const Reply reply = witness_.Receive();
    REQUIRE_MESSAGE((!reply.is_error() && !reply.closed()),
                    words[0] << ": " << reply.text << WarningsInLog());
  }
  const Reply version = witness_("GETV", "live:v:a");
  const bool there = version.elements.size() == 2;
  sent_ =
      ParseCommands(operation.commands, there ? fmt::to_string(version.elements[1].integer) : "0");
  replies_ = 0;
  if (victim_pid_ == 0) ConnectVictim();
  REQUIRE(victim_("SELECT", "0").ok());
}

void LiveWorld::Send(const LiveOperation&) {
  std::string bytes;
  for (const LiveWords& words : sent_) bytes += Encode(words);
  victim_.SendRaw(bytes);
}

// Without waiting for what is not there yet.
bool LiveWorld::AllReplies() {
  char bytes[4096];
  ssize_t got = 0;
  while ((got = recv(victim_.fd(), bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
    REQUIRE(redisReaderFeed(replies_read_.get(), bytes, static_cast<size_t>(got)) == REDIS_OK);
  }
  void* next = nullptr;
  while (redisReaderGetReply(replies_read_.get(), &next) == REDIS_OK && next != nullptr) {
    const auto* reply = static_cast<const redisReply*>(next);
    CHECK_MESSAGE(reply->type != REDIS_REPLY_ERROR, sent_[replies_][0] << ": " << reply->str);
    freeReplyObject(next);
    ++replies_;
  }
  return replies_ == sent_.size();
}

std::string LiveWorld::Look() {
  const std::vector<LiveWords> looks = ParseCommands(
      "GET live:v:a;GET live:v:b;GET live:v:c;GET live:v:d;GET live:v:e;TTL live:v:a;"
      "SELECT 1;DBSIZE;SELECT 0");
  for (const LiveWords& words : looks) witness_.Append(words);
  std::string seen;
  for (const LiveWords& words : looks) {
    const Reply reply = witness_.Receive();
    CHECK_MESSAGE((!reply.is_error() && !reply.closed()), words[0] << ": " << reply.text);
    seen += Shown(reply) + "|";
  }
  return seen;
}

// With the victim held up: how many neighbours sleep in a command that does not end? Whoever waits
// for another neighbour waits for the victim, too, if that one does not get on. Each is looked at
// until it either sleeps for good or is seen to get on.
int LiveWorld::CountSleepers() {
  struct Seen {
    uint64_t done_at_first = 0;
    uint64_t command = 0;  // that it sleeps in
    int64_t since_ns = 0;
  };
  std::array<Seen, 3> seen{};
  const int64_t began_ns = LiveClock::NowNs();
  for (size_t i = 0; i < seen.size(); ++i) seen[i].done_at_first = neighbours_[i]->commands();
  for (;;) {
    const int64_t now_ns = LiveClock::NowNs();
    int asleep = 0, long_asleep = 0, moving = 0;
    for (size_t i = 0; i < seen.size(); ++i) {
      const uint64_t command = neighbours_[i]->SleepsIn();
      if (command == 0 || command != seen[i].command) seen[i].since_ns = now_ns;
      seen[i].command = command;
      const int64_t slept_ns = now_ns - seen[i].since_ns;
      if (slept_ns >= 3 * kMs) ++asleep;
      if (slept_ns >= 12 * kMs) ++long_asleep;
      if (neighbours_[i]->commands() >= seen[i].done_at_first + 4) ++moving;
    }
    if (asleep == 3) return asleep;
    if (moving == 3 || now_ns - began_ns > 200 * kMs) return long_asleep;
    if (long_asleep > 0 && long_asleep + moving >= 3) return long_asleep;
    poll(nullptr, 0, 1);
  }
}

void LiveWorld::Learn(const LiveOperation& operation, Killer* killer) {
  Prepare(operation);
  Known known;
  known.before = Look();
  if (killer != nullptr) killer->Take(victim_pid_, clock_);
  Send(operation);
  if (killer != nullptr) {
    CHECK_FALSE(killer->Lead([this] { return AllReplies(); }, clock_));
    killer->LetGo();
  } else {
    CHECK(WaitUntil([this] { return AllReplies(); }));
  }
  known.after = Look();
  known_[operation.name] = known;
  for (auto& neighbour : neighbours_) AppendTo(control_ms_, neighbour->TakeStallsMs());
}

bool LiveWorld::Strike(const LiveOperation& operation, Killer& killer, const std::string& where) {
  Prepare(operation);
  for (auto& neighbour : neighbours_) AppendTo(stalls_ms_, neighbour->TakeStallsMs());
  killer.Take(victim_pid_, clock_);
  Send(operation);
  const bool dies = LeadToDeath(killer, [this] { return AllReplies(); });
  if (dies) {
    ++kills_;
    (void)AllReplies();  // those that left before the death
    CHECK(victim_.ClosedByServer());
    victim_pid_ = 0;
    ConnectVictim();
  }
  CheckAfter(operation, replies_ == sent_.size(), where);
  return dies;
}

// What was sent makes the process die where the killer has it die, unless it comes to its end
// before.
bool LiveWorld::LeadToDeath(Killer& killer, const std::function<bool()>& ended) {
  if (!killer.Lead(ended, clock_)) {
    ++ended_first_;
    killer.LetGo();
    return false;
  }
  const int sleepers = clock_.paused() ? CountSleepers() : 0;
  if (sleepers > 0) ++waited_for_;
  waiters_ += sleepers;
  clock_.Kill();
  killer.Kill();
  return true;
}

// Has the round been made?
std::function<bool()> LiveWorld::EndOf(const LiveRound& round) {
  if (!round.request.empty()) return [this] { return AllReplies(); };
  constexpr int64_t kByItselfNs = 200 * kMs;
  return [until_ns = LiveClock::NowNs() + kByItselfNs] { return LiveClock::NowNs() > until_ns; };
}

void LiveWorld::LearnRound(const LiveRound& round, Killer& killer) {
  const LiveOperation operation{round.process, round.setup, round.request};
  Prepare(operation);
  killer.Take(server_->ChildTitled(round.process), clock_);
  Send(operation);
  CHECK_FALSE(killer.Lead(EndOf(round), clock_));
  killer.LetGo();
  known_[operation.name].after = Look();
}

bool LiveWorld::StrikeInRound(const LiveRound& round, Killer& killer, const std::string& where) {
  const LiveOperation operation{round.process, round.setup, round.request};
  Prepare(operation);
  for (auto& neighbour : neighbours_) AppendTo(stalls_ms_, neighbour->TakeStallsMs());
  const pid_t process = server_->ChildTitled(round.process);
  REQUIRE(process > 0);
  killer.Take(process, clock_);
  Send(operation);
  const bool dies = LeadToDeath(killer, EndOf(round));
  if (dies) {
    ++auxiliary_kills_;
    CHECK(WaitUntil([this] { return AllReplies(); }));
    // It may die behind the last reply.
    CHECK(WaitUntil([&] {
      const pid_t now = server_->ChildTitled(round.process);
      return now > 0 && now != process;
    }));
  }
  CheckAfter(operation, replies_ == sent_.size(), where);
  return dies;
}

void LiveWorld::CheckAfter(const LiveOperation& operation, bool replied, const std::string& where) {
  const std::string found = Look();
  const Known& known = known_.at(operation.name);
  const bool right = found == known.after || (!replied && found == known.before);
  // What is found later tells a change that came late from one that is lost.
  CHECK_MESSAGE(right, fmt::format("{} killed at {}{}: found {}, later {}, before {}, after {}",
                                   operation.name, where, replied ? ", answered" : "", found,
                                   Look(), known.before, known.after)
                           << WarningsInLog());
  CheckBank();
  for (const auto& neighbour : neighbours_) {
    REQUIRE_MESSAGE(neighbour->error() == "", operation.name << " killed at " << where << ": "
                                                             << neighbour->error()
                                                             << WarningsInLog());
  }
}

void LiveWorld::CheckBank() {
  LiveWords words{"MGET"};
  for (int i = 0; i < kLiveAccounts; ++i) words.push_back(LiveAccount(i));
  int64_t sum = 0;
  for (const Reply& account : witness_.Send(words).elements) sum += std::stoll(account.text);
  CHECK(sum == kLiveSum);
}

void LiveWorld::CheckStore() {
  const Reply checked = witness_("CHECK");
  REQUIRE(checked.elements.size() > 1);
  for (const Reply& fault : checked.elements[1].elements) FAIL_CHECK(fault.text);
}

void LiveWorld::CheckStalls() {
  const double longest_ms = Percentile(stalls_ms_, 1);
  const double limit_ms = 2000 + 4 * Percentile(control_ms_, 1);
  CHECK(longest_ms < limit_ms);
  if (longest_ms >= limit_ms) MESSAGE(WarningsInLog());
}

// The last lines of the server's log that are more than notices.
std::string LiveWorld::WarningsInLog() const {
  std::istringstream log(server_->log());
  std::deque<std::string> lines;
  for (std::string line; std::getline(log, line);) {
    if (line.find(" notice: ") != std::string::npos) continue;
    lines.push_back(line);
    if (lines.size() > 12) lines.pop_front();
  }
  return fmt::format("\n{}", fmt::join(lines, "\n"));
}

void LiveWorld::CheckEnd() {
  for (auto& neighbour : neighbours_) {
    neighbour->Stop();
    AppendTo(stalls_ms_, neighbour->TakeStallsMs());
    CHECK(neighbour->error() == "");
  }
  CHECK(WaitUntil([&] { return StatOf(witness_, "repairs") == kills(); }));
  CHECK(StatOf(witness_, "deaths_backend") == kills_);
  CHECK(StatOf(witness_, "deaths_auxiliary") == auxiliary_kills_);
  CHECK(StatOf(witness_, "full_restarts") == 0);
  CHECK(StatOf(witness_, "lwlock_timeouts_on_free_lock") == 0);
  CHECK(witness_("LOCKS").elements.empty());
  CheckStore();
  CHECK(witness_("DBSIZE").integer == static_cast<int64_t>(witness_("KEYS", "*").elements.size()));
  CHECK(witness_("GET", kLiveCounter).text == fmt::to_string(neighbours_[2]->increments()));
  CheckBank();
}

void LiveWorld::Report(const std::string& places) {
  MESSAGE(places << ": " << kills() << " kills (" << ended_first_
                 << " came to their end first), at " << waited_for_
                 << " of them somebody waited for the victim, " << waiters_
                 << " waits; repaired in place: " << StatOf(witness_, "repairs_in_place"));
  MESSAGE("commands of the others, from the kill on: " << Distribution(stalls_ms_));
  MESSAGE("without kills: " << Distribution(control_ms_));
  MESSAGE("the victim's client is served again: " << Distribution(reconnects_ms_));
}

}  // namespace warren::test
