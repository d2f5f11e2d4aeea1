// Which descriptors are the postmaster's own, so that its children close them?
//
// Listening sockets, the event loop and the signal pipe are of no use to a child, and a listening
// socket held open by one would keep the port taken. They are found by comparing the open
// descriptors before and after they were made, because Asio does not tell its own; the rest (log,
// data files, lock file, segment) is inherited on purpose.
#pragma once

#include <vector>

namespace warren {

struct DescriptorRange {
  int first, last;  // inclusive
};

// Of this process, ascending.
std::vector<int> OpenDescriptors();

// What is in `after` and not in `before`, as few ranges as possible.
std::vector<DescriptorRange> NewDescriptors(const std::vector<int>& before,
                                            const std::vector<int>& after);

void CloseDescriptors(const std::vector<DescriptorRange>& ranges);

}  // namespace warren
