// How does a server come up, step by step?
#pragma once

#include <string>
#include <vector>

#include "conf/config_file.h"

namespace warren {

// Runs a server in the foreground with the settings given, until it ends. Returns the exit code: 0
// after a shutdown that was asked for, 1 with a clear line in the log (and on standard error) else.
// `argc` and `argv` are main's: their memory becomes the process title.
int Serve(int argc, char** argv, const std::string& config_file,
          std::vector<NameValue> command_line);

// Makes a data directory without starting a server. Returns the exit code.
int InitDataDirectory(const Settings& settings);

}  // namespace warren
