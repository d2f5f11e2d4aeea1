#include "backend/process_usage.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/unique_fd.h"
#include "shmem/segment.h"

namespace warren {
namespace {

// One of the small files of /proc/PID, terminated.
template <size_t N>
bool ReadProcFile(pid_t pid, const char* name, char (&text)[N]) {
  const UniqueFd fd(open(fmt::format("/proc/{}/{}", pid, name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return false;
  const ssize_t n = read(fd.get(), text, N - 1);
  if (n <= 0) return false;
  text[n] = 0;
  return true;
}

}  // namespace

ProcessUsage UsageOf(pid_t pid) {
  ProcessUsage usage;
  char text[1024];
  if (ReadProcFile(pid, "statm", text)) {
    unsigned long total = 0;
    unsigned long resident = 0;
    unsigned long shared = 0;
    if (sscanf(text, "%lu %lu %lu", &total, &resident, &shared) == 3 && resident > shared) {
      usage.private_bytes = (resident - shared) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    }
  }
  if (!ReadProcFile(pid, "stat", text)) return usage;
  // The program's name, in brackets, may hold anything.
  const char* rest = strrchr(text, ')');
  unsigned long ticks[4] = {};
  if (rest != nullptr &&
      sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &ticks[0],
             &ticks[1], &ticks[2], &ticks[3]) == 4) {
    const auto per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
    usage.user_seconds = static_cast<double>(ticks[0]) / per_second;
    usage.system_seconds = static_cast<double>(ticks[1]) / per_second;
    usage.children_user_seconds = static_cast<double>(ticks[2]) / per_second;
    usage.children_system_seconds = static_cast<double>(ticks[3]) / per_second;
  }
  return usage;
}

ProcessUsage UsageOfServer() {
  ProcessUsage sum = UsageOf(Segment::Server().postmaster_pid.load());
  for (const Proc& proc : Segment::Procs().slots()) {
    const pid_t pid = proc.pid.load();
    if (pid == 0 || proc.life.load() != ProcLife::kRunning) continue;
    const ProcessUsage usage = UsageOf(pid);
    sum.private_bytes += usage.private_bytes;
    sum.user_seconds += usage.user_seconds;
    sum.system_seconds += usage.system_seconds;
  }
  sum.user_seconds += sum.children_user_seconds;
  sum.system_seconds += sum.children_system_seconds;
  return sum;
}

}  // namespace warren
