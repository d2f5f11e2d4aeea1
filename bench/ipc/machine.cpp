#include "bench/ipc/machine.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "base/version.h"
#include "bench/ipc/pinning.h"
#include "bench/ipc/statistics.h"

namespace warren::ipc {
namespace {

// The first line of a file; empty if there is none.
std::string LineOf(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

// What follows "name : " in a file of such lines.
std::string FieldOf(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

std::string Caches() {
  std::string text;
  for (int i = 0; i < 8; ++i) {
    const std::string base = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", i);
    const std::string size = LineOf(base + "size");
    if (size.empty() || LineOf(base + "type") == "Instruction") continue;
    text += fmt::format("{}L{} {}", text.empty() ? "" : ", ", LineOf(base + "level"), size);
  }
  return text.empty() ? "unknown" : text;
}

int64_t ClockReadNs() {
  constexpr int kReads = 10'000;
  const int64_t begin_ns = MonotonicNs();
  int64_t last_ns = 0;
  for (int i = 0; i < kReads; ++i) last_ns = MonotonicNs();
  return (last_ns - begin_ns) / kReads;
}

std::string QueueLimits() {
  const std::string messages = LineOf("/proc/sys/fs/mqueue/msg_max");
  if (messages.empty()) return "none";
  return fmt::format("{} messages, {} bytes each", messages,
                     LineOf("/proc/sys/fs/mqueue/msgsize_max"));
}

std::string OrUnknown(const std::string& text) { return text.empty() ? "unknown" : text; }

}  // namespace

Machine DescribeMachine() {
  Machine machine;
  machine.cpus = static_cast<int>(AllowedCpus().size());
  machine.clock_read_ns = ClockReadNs();
  utsname system = {};
  uname(&system);
  const std::string clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
  const bool virtual_machine =
      (" " + FieldOf("/proc/cpuinfo", "flags") + " ").find(" hypervisor ") != std::string::npos;
  std::istringstream load(LineOf("/proc/loadavg"));
  std::string load_now;
  load >> load_now;
  machine.facts = {
      {"program", fmt::format("warren {}", kVersion)},
      {"processor", OrUnknown(FieldOf("/proc/cpuinfo", "model name"))},
      {"processors used", fmt::format("{}", machine.cpus)},
      {"virtual machine", virtual_machine ? "yes" : "not seen"},
      {"caches", Caches()},
      {"memory", OrUnknown(FieldOf("/proc/meminfo", "MemTotal"))},
      {"kernel", fmt::format("{} {}", system.sysname, system.release)},
      {"clock", fmt::format("{}, {} ns to read", OrUnknown(LineOf(clock)), machine.clock_read_ns)},
      {"message queues", QueueLimits()},
      {"load before", OrUnknown(load_now)},
  };
  return machine;
}

}  // namespace warren::ipc
