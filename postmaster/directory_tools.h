// What can be asked of a data directory without its server?
#pragma once

#include <string>

namespace warren {

// Exit codes of `warren check`.
inline constexpr int kCheckClean = 0;
inline constexpr int kCheckFaults = 1;
inline constexpr int kCheckImpossible = 2;

// `warren check`: prints what is wrong with the directory (storage/directory_check.h) and returns
// the exit code. Refuses a directory that a server has open.
int CheckDirectoryCommand(const std::string& data_directory);

}  // namespace warren
