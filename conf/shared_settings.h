// (filled in by the settings work) Layout of the settings' area in the segment.
#pragma once
#include <cstddef>
namespace warren {
inline constexpr size_t kSharedSettingsBytes = 64 * 1024;
}
