#include "shmem/slot_name.h"

#include <fmt/format.h>

#include <cstdio>

#include "shmem/segment.h"

namespace warren {
namespace {

// By SIGSTOP or a debugger: the kernel's one-letter state, after the name in brackets.
bool IsStopped(int32_t pid) {
  char text[512];
  std::FILE* file = std::fopen(fmt::format("/proc/{}/stat", pid).c_str(), "re");
  if (file == nullptr) return false;
  const size_t bytes = std::fread(text, 1, sizeof text, file);
  std::fclose(file);
  const std::string_view stat(text, bytes);
  const size_t end_of_name = stat.rfind(')');
  if (end_of_name == std::string_view::npos || end_of_name + 2 >= stat.size()) return false;
  const char state = stat[end_of_name + 2];
  return state == 'T' || state == 't';
}

std::string DescribeSession(const ClientInfo& client) {
  const std::string_view command = client.last_command.Get();
  std::string text = fmt::format(", client {} {}", client.client_id.load(), client.address.Get());
  if (const std::string_view name = client.name.Get(); !name.empty()) {
    text += fmt::format(" \"{}\"", name);
  }
  if (client.in_command.load() != 0) return text + fmt::format(", in command \"{}\"", command);
  return text + ", idle";
}

}  // namespace

std::string DescribeSlot(SlotIndex slot) {
  const Proc& proc = Segment::Procs()[slot];
  const ProcLife life = proc.life.load();
  if (life == ProcLife::kFree) return "nobody";
  const int32_t pid = proc.pid.load();
  std::string text = fmt::format("{} {}", GetProcessKind(proc.kind.load()).name, pid);
  if (proc.client.client_id.load() != 0) text += DescribeSession(proc.client);
  if (life == ProcLife::kDead) return text + ", dead";
  return IsStopped(pid) ? text + ", stopped" : text;
}

}  // namespace warren
