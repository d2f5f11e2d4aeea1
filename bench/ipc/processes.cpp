#include "bench/ipc/processes.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "bench/ipc/pinning.h"
#include "bench/ipc/shared_memory.h"
#include "bench/ipc/spinner.h"

namespace warren::ipc {

// Shared by a team and the lab.
struct TeamState {
  static constexpr int kMaxMembers = 64;
  int count;
  std::atomic<int> arrived;
  std::array<Usage, kMaxMembers> usage;  // each written by its member
  std::atomic<bool> failed;              // whoever sets it first writes `failure`
  std::array<char, 400> failure;
};

namespace {

TeamState* g_team = nullptr;  // in a member: its team

int64_t CpuNs(const rusage& usage) {
  const auto ns = [](const timeval& t) { return t.tv_sec * 1'000'000'000 + t.tv_usec * 1000; };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
}

pid_t ForkWithin(int index, FunctionRef<void()> body) {
  std::fflush(nullptr);  // or the child would print it again
  const pid_t parent = getpid();
  const pid_t pid = fork();
  CHECK(pid >= 0, "fork: {}", std::strerror(errno));
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it died before the line above
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) signal(number, SIG_DFL);
  signal(SIGPIPE, SIG_IGN);
  PinMember(index);
  body();
  _exit(0);
}

int Milliseconds(int64_t deadline_ns) {
  const int64_t left = (deadline_ns - MonotonicNs() + 999'999) / 1'000'000;
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000));
}

}  // namespace

Child::Child(int index, FunctionRef<void()> body) : pid_(ForkWithin(index, body)) {
  descriptor_.Reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  CHECK(descriptor_.valid(), "pidfd_open: {}", std::strerror(errno));
}

Child::~Child() {
  if (!descriptor_.valid() || status_.has_value()) return;  // moved from, or reaped
  Kill();
  int status = 0;
  waitpid(pid_, &status, 0);
}

void Child::Kill() const {
  if (!status_.has_value()) kill(pid_, SIGKILL);
}

std::optional<int> Child::Wait(int64_t deadline_ns) {
  while (!status_.has_value()) {
    pollfd ended = {.fd = descriptor_.get(), .events = POLLIN, .revents = 0};
    const int ready = poll(&ended, 1, Milliseconds(deadline_ns));
    if (ready == 0) return {};
    int status = 0;
    if (ready > 0 && waitpid(pid_, &status, 0) == pid_) status_ = status;
  }
  return status_;
}

std::string DescribeStatus(int wait_status) {
  if (WIFSIGNALED(wait_status)) return fmt::format("was ended by signal {}", WTERMSIG(wait_status));
  return fmt::format("exited with code {}", WEXITSTATUS(wait_status));
}

void Member::StartTogether() {
  team_.arrived.fetch_add(1);
  Spinner spinner;
  while (team_.arrived.load() < team_.count) spinner.Pause();
}

void Member::Begin() {
  Usage& usage = team_.usage[static_cast<size_t>(index_)];
  rusage now;
  getrusage(RUSAGE_SELF, &now);
  usage.cpu_ns = -CpuNs(now);
  usage.sleeps = -now.ru_nvcsw;
  usage.begin_ns = MonotonicNs();
}

void Member::End() {
  Usage& usage = team_.usage[static_cast<size_t>(index_)];
  usage.end_ns = MonotonicNs();
  rusage now;
  getrusage(RUSAGE_SELF, &now);
  usage.cpu_ns += CpuNs(now);
  usage.sleeps += now.ru_nvcsw;
}

void FailMember(std::string_view what) {
  CHECK(g_team != nullptr, "{}", what);
  if (!g_team->failed.exchange(true)) {
    const size_t length = std::min(what.size(), g_team->failure.size() - 1);
    std::memcpy(g_team->failure.data(), what.data(), length);
  }
  _exit(1);
}

namespace {

// Until all have ended well, or one has not.
Status WatchTeam(TeamState& team, std::vector<Child>& members, int64_t deadline_ns) {
  std::vector<pollfd> running;
  for (const Child& member : members) running.push_back({member.descriptor(), POLLIN, 0});
  for (size_t ended = 0; ended < members.size();) {
    const int ready = poll(running.data(), running.size(), Milliseconds(deadline_ns));
    if (ready == 0) return MakeError(ErrorCode::kGeneric, "took too long and was ended");
    for (size_t i = 0; i < running.size(); ++i) {
      if (running[i].fd < 0 || running[i].revents == 0) continue;
      running[i].fd = -1;
      ++ended;
      const int status = members[i].Wait(deadline_ns).value_or(0);
      if (team.failed.load()) return MakeError(ErrorCode::kGeneric, "{}", team.failure.data());
      if (status != 0) {
        return MakeError(ErrorCode::kGeneric, "process {} of {} {}", i, members.size(),
                         DescribeStatus(status));
      }
    }
  }
  return {};
}

}  // namespace

Result<std::vector<Usage>> RunTeam(int count, FunctionRef<void(Member&)> body, int64_t limit_ns) {
  CHECK(count > 0 && count <= TeamState::kMaxMembers, "{} members", count);
  SharedMemory memory(sizeof(TeamState));
  TeamState& team = *memory.Allocate<TeamState>();
  team.count = count;
  {
    std::vector<Child> members;  // all of them are gone at the end of this block
    members.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      members.emplace_back(i, [&] {
        g_team = &team;
        g_spins_yield = Oversubscribed(count);
        Member self(team, i);
        body(self);
      });
    }
    RETURN_IF_ERROR(WatchTeam(team, members, MonotonicNs() + limit_ns));
  }
  return std::vector<Usage>(team.usage.begin(), team.usage.begin() + count);
}

}  // namespace warren::ipc
