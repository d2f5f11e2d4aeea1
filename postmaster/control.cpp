#include "postmaster/control.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "postmaster/pid_file.h"
#include "storage/control_file.h"
#include "storage/data_directory.h"

namespace warren {
namespace {

constexpr int kPollMs = 20;
constexpr std::chrono::seconds kKillPatience{10};  // for SIGKILL, which always works

template <typename... Args>
void Say(fmt::format_string<Args...> format, Args&&... args) {
  fmt::print("{}\n", fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void Complain(fmt::format_string<Args...> format, Args&&... args) {
  fmt::print(stderr, "warren: {}\n", fmt::format(format, std::forward<Args>(args)...));
}

// The server of the directory, or an exit code with the reason printed.
struct Found {
  std::optional<PidFileContent> server;
  int exit_code = kExitOk;
};

Found FindServer(const std::string& directory) {
  const auto kind = DataDirectory::Inspect(directory);
  if (!kind.ok() || *kind != DataDirectory::Kind::kWarren) {
    Complain("{}", kind.ok() ? fmt::format("\"{}\" is not a data directory of Warren", directory)
                             : kind.error().message);
    return {std::nullopt, kExitNoDirectory};
  }
  auto holder = PidFile::Holder(directory);
  if (!holder.ok()) {
    Complain("{}", holder.error().message);
    return {std::nullopt, kExitFailed};
  }
  if (!holder->has_value()) return {std::nullopt, kExitNotRunning};
  if (!IsPostmasterAlive(**holder)) {
    Complain(
        "data directory \"{}\": the postmaster with pid {} is gone, but processes of it are left",
        directory, (*holder)->pid);
    return {std::nullopt, kExitFailed};
  }
  return {std::move(*holder), kExitOk};
}

// FindServer for those that need one.
Found NeedServer(const std::string& directory) {
  Found found = FindServer(directory);
  if (found.exit_code == kExitNotRunning) {
    Complain("no server is running in data directory \"{}\"", directory);
  }
  return found;
}

bool Send(const PidFileContent& server, int signal) {
  if (kill(server.pid, signal) == 0) return true;
  Complain("cannot signal the postmaster with pid {}: {}", server.pid, strerror(errno));
  return false;
}

int SignalOf(StopMode mode) {
  switch (mode) {
    case StopMode::kSmart:
      return SIGTERM;
    case StopMode::kFast:
      return SIGINT;
    case StopMode::kImmediate:
      return SIGQUIT;
  }
  return SIGINT;
}

bool WaitUntilGone(const std::string& directory, std::chrono::seconds timeout) {
  const int64_t deadline_ns = MonotonicNs() + std::chrono::nanoseconds(timeout).count();
  for (;;) {
    const auto holder = PidFile::Holder(directory);
    if (holder.ok() && !holder->has_value()) return true;
    if (MonotonicNs() >= deadline_ns) return false;
    poll(nullptr, 0, kPollMs);
  }
}

struct TitledChild {
  pid_t pid;
  std::string title;  // as `ps` shows it
};

std::vector<TitledChild> ChildrenOf(pid_t postmaster) {
  std::vector<TitledChild> titled;
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", postmaster));
  for (pid_t child = 0; children >> child;) {
    const auto title = ReadWholeFile(fmt::format("/proc/{}/cmdline", child));
    if (title.ok()) titled.push_back({child, title->c_str()});
  }
  return titled;
}

// A backend's title has its client's id.
bool IsMeant(const TitledChild& child, KillTarget target, uint64_t number) {
  const bool process = static_cast<uint64_t>(child.pid) == number;
  const bool client = child.title.starts_with("warren: backend ") &&
                      child.title.find(fmt::format(" id{} ", number)) != std::string::npos;
  return (process && target != KillTarget::kClient) || (client && target != KillTarget::kProcess);
}

// Held while it is signalled, so that the signal can't reach another one with the same number.
UniqueFd HoldChild(pid_t postmaster, const TitledChild& child) {
  UniqueFd held(static_cast<int>(syscall(SYS_pidfd_open, child.pid, 0)));
  const std::vector<TitledChild> now = ChildrenOf(postmaster);
  return std::ranges::count(now, child.pid, &TitledChild::pid) == 0 ? UniqueFd() : std::move(held);
}

bool EndsAfter(const UniqueFd& child, int signal, std::chrono::milliseconds patience) {
  syscall(SYS_pidfd_send_signal, child.get(), signal, nullptr, 0);
  pollfd ended{.fd = child.get(), .events = POLLIN, .revents = 0};
  return poll(&ended, 1, static_cast<int>(patience.count())) > 0;
}

std::string FormatUptime(int64_t seconds) {
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{} d {} h", seconds / 86400, seconds % 86400 / 3600);
}

std::string_view StateOfClosedDirectory(const std::string& directory) {
  const auto control = ReadControl(directory);
  if (!control.ok()) return "unreadable";
  return control->state == DirectoryState::kClean ? "shut down cleanly" : "not shut down cleanly";
}

}  // namespace

int StopServer(const std::string& data_directory, StopMode mode, std::chrono::seconds timeout) {
  const Found found = NeedServer(data_directory);
  if (!found.server) return found.exit_code;
  if (!Send(*found.server, SignalOf(mode))) return kExitFailed;
  if (!WaitUntilGone(data_directory, timeout)) {
    Complain("the server with pid {} has not ended within {} s", found.server->pid,
             timeout.count());
    return kExitFailed;
  }
  Say("server stopped: {}", StateOfClosedDirectory(data_directory));
  return kExitOk;
}

int KillProcess(const std::string& data_directory, KillTarget target, uint64_t number,
                std::chrono::seconds patience) {
  const Found found = NeedServer(data_directory);
  if (!found.server) return found.exit_code;
  std::vector<TitledChild> meant = ChildrenOf(found.server->pid);
  std::erase_if(meant, [&](const auto& child) { return !IsMeant(child, target, number); });
  if (meant.size() > 1) {
    Complain("{} is both a process and a client: say --pid or --client", number);
    return kExitFailed;
  }
  const UniqueFd child = meant.empty() ? UniqueFd() : HoldChild(found.server->pid, meant[0]);
  if (!child.valid()) {
    Complain("the server has no {} {}",
             target == KillTarget::kClient ? "client" : "process or client", number);
    return kExitFailed;
  }
  if (EndsAfter(child, SIGTERM, patience)) {
    Say("process {} has ended ({})", meant[0].pid, meant[0].title);
    return kExitOk;
  }
  if (!EndsAfter(child, SIGKILL, kKillPatience)) {
    Complain("process {} cannot be killed", meant[0].pid);
    return kExitFailed;
  }
  Say("process {} did not end within {} s and was killed ({})", meant[0].pid, patience.count(),
      meant[0].title);
  return kExitOk;
}

int ReloadServer(const std::string& data_directory) {
  const Found found = NeedServer(data_directory);
  if (!found.server) return found.exit_code;
  if (!Send(*found.server, SIGHUP)) return kExitFailed;
  Say("asked the server with pid {} to reload; its log says what changed", found.server->pid);
  return kExitOk;
}

int ShowStatus(const std::string& data_directory) {
  const Found found = FindServer(data_directory);
  if (found.exit_code == kExitNotRunning) {
    Say("running:        no");
    Say("data directory: {} ({})", data_directory, StateOfClosedDirectory(data_directory));
  }
  if (!found.server) return found.exit_code;
  const PidFileContent& server = *found.server;
  const std::vector<TitledChild> children = ChildrenOf(server.pid);
  const auto connections = std::ranges::count_if(children, [](const TitledChild& child) {
    return child.title.starts_with("warren: backend");
  });
  Say("running:        yes");
  Say("pid:            {}", server.pid);
  Say("phase:          {}", server.phase);
  if (!server.recovery.empty()) Say("recovery:       {}", server.recovery);
  Say("up:             {}", FormatUptime(WallClockMs() / 1000 - server.start_seconds));
  Say("listening:      {}", fmt::join(server.listeners, ", "));
  Say("connections:    {}", connections);
  Say("data directory: {} (in use)", server.data_directory);
  return kExitOk;
}

}  // namespace warren
