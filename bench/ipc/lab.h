// What does `warren ipc-lab` do?
#pragma once

#include <string>
#include <vector>

namespace warren::ipc {

struct LabOptions {
  bool quick = false;             // fewer messages and rounds: under half a minute
  bool json = false;              // JSON on standard output instead of tables
  std::string plots;              // directory for plots; empty: none
  std::vector<std::string> only;  // names of measurements and of mechanisms; none: all
};

// Measures and prints. Exit code: 0; 1 if anything went wrong, a lost or torn message above all.
int RunIpcLab(const LabOptions& options);

}  // namespace warren::ipc
