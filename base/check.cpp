#include "base/check.h"

#include <cstdlib>

#include "base/log.h"

namespace warren {

void CheckFailed(const char* file, int line, const char* condition, std::string_view message) {
  log::Error("{}:{}: check failed: {}{}{}", file, line, condition, message.empty() ? "" : ": ",
             message);
  std::abort();
}

}  // namespace warren
