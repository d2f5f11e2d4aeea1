#include "backend/set_options.h"

#include <array>

#include "base/ascii.h"

namespace warren {
namespace {

struct TimeOption {
  std::string_view name;
  TimeForm form;
};
constexpr std::array kTimeOptions{
    TimeOption{"EX", TimeForm::kSecondsFromNow},
    TimeOption{"PX", TimeForm::kMillisecondsFromNow},
    TimeOption{"EXAT", TimeForm::kSecondsAt},
    TimeOption{"PXAT", TimeForm::kMillisecondsAt},
};

TimeForm TimeFormOf(std::string_view option) {
  for (const TimeOption& known : kTimeOptions) {
    if (EqualsIgnoreCase(option, known.name)) return known.form;
  }
  return TimeForm::kNone;
}

// Sets the flag that `option` stands for; false if it is none or excluded by what is set.
bool TakeFlag(SetOptions& options, std::string_view option, SetOptionsOf command) {
  const bool timed = options.time_form != TimeForm::kNone;
  if (command == SetOptionsOf::kGetEx) {
    if (!EqualsIgnoreCase(option, "PERSIST") || timed) return false;
    return options.persist = true;
  }
  if (EqualsIgnoreCase(option, "KEEPTTL") && !timed) return options.keep_ttl = true;
  if (command == SetOptionsOf::kSetV) return false;
  if (EqualsIgnoreCase(option, "NX") && !options.if_exists) return options.if_missing = true;
  if (EqualsIgnoreCase(option, "XX") && !options.if_missing) return options.if_exists = true;
  if (EqualsIgnoreCase(option, "GET")) return options.get = true;
  return false;
}

}  // namespace

Result<SetOptions> ParseSetOptions(Args options, SetOptionsOf command) {
  SetOptions parsed;
  for (size_t i = 0; i < options.size(); ++i) {
    const TimeForm form = TimeFormOf(options[i]);
    if (form == TimeForm::kNone) {
      if (!TakeFlag(parsed, options[i], command)) return SyntaxError();
      continue;
    }
    const bool excluded = parsed.keep_ttl || parsed.persist ||
                          (parsed.time_form != TimeForm::kNone && parsed.time_form != form);
    if (excluded || ++i == options.size()) return SyntaxError();
    parsed.time_form = form;
    parsed.time = options[i];
  }
  return parsed;
}

}  // namespace warren
