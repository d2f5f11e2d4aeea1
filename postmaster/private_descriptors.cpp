#include "postmaster/private_descriptors.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "base/check.h"

namespace warren {

std::vector<int> OpenDescriptors() {
  DIR* directory = opendir("/proc/self/fd");
  CHECK(directory != nullptr, "cannot read /proc/self/fd");
  std::vector<int> descriptors;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (fd != dirfd(directory)) descriptors.push_back(fd);
  }
  closedir(directory);
  std::sort(descriptors.begin(), descriptors.end());
  return descriptors;
}

std::vector<DescriptorRange> NewDescriptors(const std::vector<int>& before,
                                            const std::vector<int>& after) {
  std::vector<int> added;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(),
                      std::back_inserter(added));
  std::vector<DescriptorRange> ranges;
  for (const int fd : added) {
    if (!ranges.empty() && ranges.back().last + 1 == fd) {
      ranges.back().last = fd;
    } else {
      ranges.push_back({fd, fd});
    }
  }
  return ranges;
}

void CloseDescriptors(const std::vector<DescriptorRange>& ranges) {
  for (const DescriptorRange& range : ranges) {
    close_range(static_cast<unsigned>(range.first), static_cast<unsigned>(range.last), 0);
  }
}

}  // namespace warren
