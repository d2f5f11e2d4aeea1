#include "bench/ipc/pinning.h"

#include <sched.h>

namespace warren::ipc {
namespace {

std::vector<int> ReadAllowedCpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
  }
  if (cpus.empty()) cpus.push_back(0);  // more than CPU_SETSIZE of them: pinning will be refused
  return cpus;
}

}  // namespace

const std::vector<int>& AllowedCpus() {
  static const std::vector<int> cpus = ReadAllowedCpus();
  return cpus;
}

bool PinMember(int index) {
  const std::vector<int>& cpus = AllowedCpus();
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpus[static_cast<size_t>(index) % cpus.size()], &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace warren::ipc
