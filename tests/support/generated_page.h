// Does a generated page of docs/ say what its table says?
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

// Compares docs/NAME with `expected`. With WARREN_WRITE_DOCS set (`./dev docs`) it writes the page
// first. The test case that calls this bears a name that begins with "docs/", which is how that
// command finds it.
inline void CheckGeneratedPage(const std::string& name, const std::string& expected) {
  const std::string path = std::string(WARREN_SOURCE_DIR) + "/docs/" + name;
  if (std::getenv("WARREN_WRITE_DOCS") != nullptr) std::ofstream(path) << expected;
  std::ifstream in(path);
  const std::string found((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  CHECK_MESSAGE(found == expected, path << " is not up to date: run ./dev docs");
}
