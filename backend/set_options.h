// What do the options of SET, GETEX and SETV ask for?
#pragma once

#include <string_view>

#include "backend/arguments.h"
#include "backend/command.h"
#include "base/result.h"

namespace warren {

struct SetOptions {
  bool if_missing = false;  // NX
  bool if_exists = false;   // XX
  bool get = false;         // GET
  bool keep_ttl = false;    // KEEPTTL
  bool persist = false;     // PERSIST
  TimeForm time_form = TimeForm::kNone;
  std::string_view time = {};  // not looked at yet
};

enum class SetOptionsOf : uint8_t { kSet, kGetEx, kSetV };

// Reads `options`, the arguments behind key and value. Options that exclude each other, unknown
// ones and those of another command are syntax errors; of several times in the same form the last
// counts.
Result<SetOptions> ParseSetOptions(Args options, SetOptionsOf command);

}  // namespace warren
