#include "tests/crash/live_neighbour.h"

#include <time.h>

#include <algorithm>
#include <utility>

namespace warren::test {
namespace {

constexpr int kKeys = 24;
constexpr size_t kMostStalls = 4'000'000;

char StateOf(pid_t pid) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? '?' : stat[name_end + 2];
}

}  // namespace

std::string LiveAccount(int i) { return "live:account" + std::to_string(i); }

int64_t LiveClock::NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

Neighbour::Neighbour(const Server& server, Kind kind, LiveClock& clock)
    : kind_(kind),
      clock_(clock),
      connection_(server.Connect()),
      backend_(Server::BackendOf(connection_)) {
  thread_ = std::thread([this] { Work(); });
}

void Neighbour::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

uint64_t Neighbour::SleepsIn() const {
  const uint64_t done = done_, begun = begun_;
  if (begun == done || StateOf(backend_) != 'S') return 0;
  return begun_ == begun && done_ == done ? begun : 0;
}

std::vector<double> Neighbour::TakeStallsMs() {
  while (copying_.exchange(true)) std::this_thread::yield();
  std::vector<double> stalls = std::exchange(stalls_ms_, {});
  copying_ = false;
  return stalls;
}

void Neighbour::Work() {
  while (!stop_ && !failed_) {
    if (kind_ == kBank) Transfer();
    if (kind_ == kWriter) Write();
    if (kind_ == kClerk) HoldName();
  }
}

void Neighbour::Transfer() {
  // Always in the same order: whoever else transfers is waited for, not a deadlock.
  int from = static_cast<int>(random_() % kLiveAccounts),
      to = static_cast<int>(random_() % kLiveAccounts);
  if (from == to) return;
  if (from > to) std::swap(from, to);
  const int amount = static_cast<int>(random_() % 9) - 4;
  Do({"BEGIN"});
  Do({"DECRBY", LiveAccount(from), std::to_string(amount)});
  Do({"INCRBY", LiveAccount(to), std::to_string(amount)});
  Do({"COMMIT"});
}

void Neighbour::Write() {
  const std::string key = "live:n" + std::to_string(random_() % kKeys);
  std::string& value = mine_[key];
  const Reply found = Do({"GET", key});
  Expect((found.nil() ? "" : found.text) == value, key + " is not what was written");
  switch (random_() % 8) {
    case 0:
      value.clear();
      Do({"DEL", key});
      break;
    case 1:
      if (value.size() < 100) {
        value += "more";
        Do({"APPEND", key, "more"});
        break;
      }
      [[fallthrough]];
    default:
      value = std::to_string(random_());
      Do({"SET", key, value});
  }
}

void Neighbour::HoldName() {
  const Reply token = Do({"LOCK", kLiveLock, "TIMEOUT", "10000"});
  Expect(token.type == Reply::kInteger && token.integer > last_token_,
         "a lock's number is not above the one before");
  last_token_ = token.integer;
  Do({"INCR", kLiveCounter});
  ++increments_;
  Expect(Do({"UNLOCK", kLiveLock}).integer == 1, "the lock was not held");
}

Reply Neighbour::Do(const std::vector<std::string>& words) {
  if (failed_) return {};
  const int64_t sent_ns = LiveClock::NowNs();
  ++begun_;
  const Reply reply = connection_.Send(words);
  const int64_t done_ns = LiveClock::NowNs();
  // Still held up: what this one waited for is not known.
  const bool paused = clock_.paused();
  const int64_t since_ns = std::max(sent_ns, clock_.killed_ns());
  ++done_;
  Expect(!reply.closed(), "a client that nobody killed lost its connection");
  Expect(!reply.is_error(), words[0] + ": " + reply.text);
  if (paused) return reply;
  while (copying_.exchange(true)) std::this_thread::yield();
  if (stalls_ms_.size() < kMostStalls) {
    stalls_ms_.push_back(static_cast<double>(std::max<int64_t>(done_ns - since_ns, 0)) / 1e6);
  }
  copying_ = false;
  return reply;
}

void Neighbour::Expect(bool right, const std::string& what) {
  if (right || failed_ || stop_) return;
  error_ = what;
  failed_ = true;
}

}  // namespace warren::test
