// What is in the log of a data directory? One line per record.
#pragma once

#include <string>
#include <vector>

namespace warren {

// As given on the command line; what is empty does not matter.
struct WalDumpOptions {
  std::string directory;
  std::string start;               // a log position: records that begin there or later
  std::string end;                 // and before here
  std::vector<std::string> types;  // "leaf put", also with _ or - for the blank
  std::vector<std::string> pages;
  std::string key;  // a glob pattern
};

// `warren waldump`: prints the records that every given filter lets through, and why it stopped.
// Reads also beside a running server. Returns the exit code.
int DumpWal(const WalDumpOptions& options);

}  // namespace warren
