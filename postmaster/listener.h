// Where do clients connect?
//
// Opens the listening sockets of the settings. They are non-blocking; accepted connections are not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace warren {

struct Listener {
  UniqueFd fd;
  std::string name;              // "127.0.0.1:7432", "[::1]:7432", "/run/warren/socket"
  std::string unix_socket_path;  // empty for TCP
};

struct ListenerOptions {
  // Numeric addresses; "*" for all; one with "-" in front may be missing on this machine.
  std::vector<std::string> bind;
  uint16_t port = 0;                     // 0: no TCP
  std::string unix_socket;               // path; empty: none
  uint32_t unix_socket_permissions = 0;  // 0: as the umask leaves it
  int backlog = 511;
};

// The first address to which another machine might connect; empty if there is none.
std::string FindForeignAddress(const ListenerOptions& options);

// All of them, or an error that names the address.
Result<std::vector<Listener>> OpenListeners(const ListenerOptions& options);

}  // namespace warren
