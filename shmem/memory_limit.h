// How much memory can this machine, or this container, still give?
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace warren {

struct AvailableMemory {
  uint64_t bytes = ~uint64_t{0};
  std::string source;  // the file that says so, for messages
};

// The smaller of what the kernel says is available and what the limits of this process's control
// groups (version 2, every ancestor) leave. What can't be read does not limit.
AvailableMemory ReadAvailableMemory();

// "MemAvailable:  23827 kB" in the text of /proc/meminfo, in bytes.
std::optional<uint64_t> ParseMemAvailable(std::string_view meminfo);

// What is left of a group's limit: `max` may be "max"; of `current`, the page cache named in `stat`
// can be taken back.
std::optional<uint64_t> ParseCgroupLeft(std::string_view max, std::string_view current,
                                        std::string_view stat);

}  // namespace warren
