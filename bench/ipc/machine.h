// On what machine was this measured?
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace warren::ipc {

struct Machine {
  int cpus = 0;  // that the lab may use
  int64_t clock_read_ns = 0;
  // What people and JSON are shown: name and text, in order.
  std::vector<std::pair<std::string, std::string>> facts;
};

Machine DescribeMachine();

}  // namespace warren::ipc
