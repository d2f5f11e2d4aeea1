// What does `warren ...` on the command line do?
#pragma once

namespace warren {

// Runs the sub-command that the arguments ask for; returns the exit code. Usage errors exit with 1.
int RunCommandLine(int argc, char** argv);

}  // namespace warren
