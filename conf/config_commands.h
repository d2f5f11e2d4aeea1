// What do CONFIG GET, SET and REWRITE answer?
//
// The error texts are Redis's where clients know them; the words before them (ERR) are added by
// whoever replies.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conf/config_file.h"
#include "conf/settings.h"

namespace warren {

// The settings whose names match one of the patterns (glob.h; '-' and '_' and letters' case are
// alike), each name once. A pattern without wildcards gives one entry, under the name as asked; one
// with wildcards gives every matching name and alias. Under an alias the value is shown as Redis
// shows it, under our name with its unit.
std::vector<NameValue> ConfigGet(std::span<const std::string_view> patterns,
                                 const Settings& settings);

// `settings` with all of `changes`, or why one of them cannot be made while the server runs.
Result<Settings> ApplyConfigSet(std::span<const NameValue> changes, Settings settings);

// Makes the configuration file say what `settings` say: lines of settings with another value are
// changed in place, what is still missing is appended under a header comment; comments, order and
// everything else stay. Replaces the file durably, in one step. `path` empty: "The server is
// running without a config file".
Status ConfigRewrite(const std::string& path, const Settings& settings);

}  // namespace warren
