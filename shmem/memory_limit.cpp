#include "shmem/memory_limit.h"

#include <charconv>
#include <fstream>
#include <iterator>

namespace warren {
namespace {

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The number that starts `text`, after blanks.
std::optional<uint64_t> ParseNumber(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return std::nullopt;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + begin, text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

// The number after `key` at the start of a line.
std::optional<uint64_t> FindNumber(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.starts_with(key)) return ParseNumber(line.substr(key.size()));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

// "0::/system.slice/warren.service" -> the path of this process's version 2 group.
std::string OwnCgroup() {
  const std::string text = ReadText("/proc/self/cgroup");
  const size_t at = text.starts_with("0::") ? 0 : text.find("\n0::");
  if (at == std::string::npos) return {};
  const size_t begin = text.find('/', at);
  if (begin == std::string::npos) return {};
  std::string path = text.substr(begin, text.find('\n', begin) - begin);
  return path == "/" ? std::string() : path;
}

}  // namespace

std::optional<uint64_t> ParseMemAvailable(std::string_view meminfo) {
  const auto kib = FindNumber(meminfo, "MemAvailable:");
  if (!kib) return std::nullopt;
  return *kib * 1024;
}

std::optional<uint64_t> ParseCgroupLeft(std::string_view max, std::string_view current,
                                        std::string_view stat) {
  const auto limit = ParseNumber(max);
  const auto used = ParseNumber(current);
  if (!limit || !used) return std::nullopt;
  const uint64_t reclaimable =
      FindNumber(stat, "inactive_file ").value_or(0) + FindNumber(stat, "active_file ").value_or(0);
  const uint64_t held = *used > reclaimable ? *used - reclaimable : 0;
  return *limit > held ? *limit - held : 0;
}

AvailableMemory ReadAvailableMemory() {
  AvailableMemory available;
  const auto limit_to = [&](std::optional<uint64_t> bytes, const std::string& source) {
    if (bytes && *bytes < available.bytes) available = {*bytes, source};
  };
  limit_to(ParseMemAvailable(ReadText("/proc/meminfo")), "/proc/meminfo");
  // The root of what is mounted has limit files only inside a container, where it is the container.
  for (std::string group = OwnCgroup();; group.resize(group.rfind('/'))) {
    const std::string at = "/sys/fs/cgroup" + group;
    limit_to(ParseCgroupLeft(ReadText(at + "/memory.max"), ReadText(at + "/memory.current"),
                             ReadText(at + "/memory.stat")),
             at + "/memory.max");
    if (group.empty()) break;
  }
  return available;
}

}  // namespace warren
