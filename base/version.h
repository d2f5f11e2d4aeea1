// Which version of Warren is this?
#pragma once

#include <string_view>

namespace warren {

inline constexpr std::string_view kVersion = "0.1.0";  // the build checks it against the project's

}  // namespace warren
