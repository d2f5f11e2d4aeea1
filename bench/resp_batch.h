// What does a yardstick server need of RESP: how many commands has the client sent, and of which
// shape must the answers be?
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace warren::bench {

// Takes every complete command off the front of `input` and appends to `output` an answer of the
// right shape for each: +OK for SET, 64 constant bytes for GET, and so on. Nothing is stored. False
// if the bytes are no multi-bulk command.
bool AnswerCompleteCommands(std::string* input, std::string* output);

}  // namespace warren::bench
