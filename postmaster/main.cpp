#include "base/version.h"
#include "postmaster/command_line.h"

static_assert(warren::kVersion == WARREN_PROJECT_VERSION,
              "base/version.h is behind CMakeLists.txt");

int main(int argc, char** argv) { return warren::RunCommandLine(argc, argv); }
