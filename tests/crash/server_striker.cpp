#include "tests/crash/server_striker.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <vector>

namespace warren::test {
namespace {

constexpr unsigned kMostGapMs = 160;
constexpr unsigned kMostStopMs = 400;
constexpr size_t kMostStopped = 3;
constexpr Milliseconds kMonitorSpared(1000);

bool IsBackend(pid_t pid) { return CommandLineOf(pid).find("backend") != std::string::npos; }
bool IsMonitor(pid_t pid) {
  return CommandLineOf(pid).find("process monitor") != std::string::npos;
}

// Running, or in the middle of a system call of the disk: in the midst of something, most likely.
bool IsBusy(pid_t pid) {
  const std::string status = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = status.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= status.size()) return false;
  return status[name_end + 2] == 'R' || status[name_end + 2] == 'D';
}

}  // namespace

std::string StrikerCounts::text() const {
  return std::to_string(kills) + " SIGKILL, " + std::to_string(terms) + " SIGTERM, " +
         std::to_string(stops) + " SIGSTOP, " + std::to_string(auxiliaries) +
         " of them to auxiliary processes, " + std::to_string(points) +
         " deaths set at fault points";
}

Striker::Striker(const Server& server, uint64_t seed) : server_(server), random_(seed) {
  for (const Reply& point : Ask({"FAULT", "LIST", "*"}).elements) {
    if (point.elements.size() < 2) continue;
    const std::string& name = point.elements[1].text;
    // Two deaths in the repair of one process make all start over, as they should.
    if (!name.starts_with("repair_") && !name.starts_with("incident_")) points_.push_back(name);
  }
  connection_.Close();
}

Reply Striker::Ask(const std::vector<std::string>& words) {
  if (!connection_.open()) connection_ = server_.Connect();
  return connection_.Send(words);
}

void Striker::StrikeAtPoint() {
  if (points_.empty()) return;
  const std::string& point = points_[random_() % points_.size()];
  const std::string after = std::to_string(random_() % 20);
  counts_.points += Ask({"FAULT", "SET", point, "kill", "TIMES", "1", "AFTER", after}).ok() ? 1 : 0;
}

void Striker::StrikeFor(Milliseconds duration) {
  const auto end = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < end) {
    poll(nullptr, 0, static_cast<int>(1 + random_() % kMostGapMs));
    EndStops(/*all=*/false);
    // Who is stopped may hold what the request needs, and goes on only when this thread says so.
    random_() % 3 == 0 && stopped_.empty() ? StrikeAtPoint() : Strike();
  }
  EndStops(/*all=*/true);
  (void)WaitUntil([&] { return !Ask({"FAULT", "CLEAR"}).closed(); });
  connection_.Close();
}

// It begins with what the former one was killed at: see above.
void Striker::SpareNewMonitor(std::vector<pid_t>& pids) {
  const auto monitor = std::ranges::find_if(pids, IsMonitor);
  if (monitor == pids.end()) return;
  const auto now = std::chrono::steady_clock::now();
  if (*monitor != monitor_) monitor_spared_until_ = now + kMonitorSpared;
  monitor_ = *monitor;
  if (now < monitor_spared_until_) pids.erase(monitor);
}

// Half of the time an auxiliary process: there are fewer of them. Half of the time one that is
// busy, if there is any.
pid_t Striker::Choose() {
  std::vector<pid_t> pids = ChildrenOf(server_.pid());
  const bool backend = random_() % 2 == 0;
  std::erase_if(pids, [&](pid_t pid) { return IsBackend(pid) != backend; });
  SpareNewMonitor(pids);
  if (random_() % 2 == 0 && std::ranges::any_of(pids, IsBusy)) {
    std::erase_if(pids, [](pid_t pid) { return !IsBusy(pid); });
  }
  if (pids.empty()) return 0;
  counts_.auxiliaries += backend ? 0 : 1;
  return pids[random_() % pids.size()];
}

void Striker::Strike() {
  const pid_t pid = Choose();
  if (pid == 0) return;
  const uint64_t kind = random_() % 20;
  if (kind < 13) {
    kill(pid, SIGKILL);
    ++counts_.kills;
  } else if (kind < 16) {
    kill(pid, SIGTERM);
    ++counts_.terms;
  } else if (stopped_.size() < kMostStopped) {
    kill(pid, SIGSTOP);
    ++counts_.stops;
    const Milliseconds until(20 + random_() % kMostStopMs);
    stopped_.push_back({pid, std::chrono::steady_clock::now() + until, random_() % 2 == 0});
  }
}

void Striker::EndStops(bool all) {
  const auto now = std::chrono::steady_clock::now();
  for (const Stopped& stopped : stopped_) {
    if (!all && stopped.until > now) continue;
    if (stopped.killed) kill(stopped.pid, SIGKILL);
    kill(stopped.pid, SIGCONT);
  }
  std::erase_if(stopped_, [&](const Stopped& stopped) { return all || stopped.until <= now; });
}

}  // namespace warren::test
