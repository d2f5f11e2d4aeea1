// How are the settings explained to people? Both texts are made from the tables alone.
#pragma once

#include <string>

namespace warren {

// conf/warren.conf: every setting with its help, what it accepts and its default, commented out.
std::string DefaultConfigText();

// docs/settings.md.
std::string SettingsMarkdown();

}  // namespace warren
