// As which Redis does this server introduce itself?
//
// Client libraries choose what to send by these two; what Warren itself is called is in INFO's
// warren_version.
#pragma once

#include <string_view>

namespace warren {

inline constexpr std::string_view kCompatibleServerName = "redis";
inline constexpr std::string_view kCompatibleVersion = "7.0.15";

}  // namespace warren
