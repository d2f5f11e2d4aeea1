#include "postmaster/wait_status.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

namespace warren {
namespace {

std::string SignalText(int signal) {
  const char* name = sigabbrev_np(signal);
  if (name == nullptr) return fmt::format("signal {}", signal);
  return fmt::format("signal {} (SIG{})", signal, name);
}

// Raised by the process's own instructions.
bool IsWild(int signal) {
  switch (signal) {
    case SIGABRT:
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGSYS:
    case SIGTRAP:
    case SIGSTKFLT:
      return true;
    default:
      return false;
  }
}

}  // namespace

DeathClass ClassifyDeath(int wait_status) {
  if (WIFEXITED(wait_status)) {
    return WEXITSTATUS(wait_status) == 0 ? DeathClass::kOrderly : DeathClass::kBounded;
  }
  return IsWild(WTERMSIG(wait_status)) ? DeathClass::kWild : DeathClass::kBounded;
}

std::string DescribeWaitStatus(int wait_status) {
  if (WIFEXITED(wait_status)) return fmt::format("exited with code {}", WEXITSTATUS(wait_status));
  if (WIFSTOPPED(wait_status)) return "stopped by " + SignalText(WSTOPSIG(wait_status));
  return "killed by " + SignalText(WTERMSIG(wait_status));
}

}  // namespace warren
