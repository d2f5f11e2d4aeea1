#include <CLI/CLI.hpp>
#include <string>

#include "base/version.h"

static_assert(warren::kVersion == WARREN_PROJECT_VERSION,
              "base/version.h is behind CMakeLists.txt");

int main(int argc, char** argv) {
  CLI::App app{"A durable, transactional key-value server that speaks the Redis protocol",
               "warren"};
  app.set_version_flag("--version", "warren " + std::string(warren::kVersion));
  CLI11_PARSE(app, argc, argv);
  return 0;
}
