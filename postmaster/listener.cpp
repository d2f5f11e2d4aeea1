#include "postmaster/listener.h"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <asio/ip/tcp.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/file.h"

namespace warren {
namespace {

Status SetOption(int fd, int level, int option, const std::string& name) {
  const int on = 1;
  if (setsockopt(fd, level, option, &on, sizeof on) == 0) return {};
  return SystemError(errno, fmt::format("address {}", name), "cannot set a socket option");
}

Result<UniqueFd> OpenSocket(int family, const std::string& name) {
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid())
    return SystemError(errno, fmt::format("address {}", name), "cannot make a socket");
  return fd;
}

Status BindAndListen(int fd, const sockaddr* address, socklen_t bytes, int backlog,
                     const std::string& name) {
  if (bind(fd, address, bytes) != 0 || listen(fd, backlog) != 0) {
    return SystemError(errno, fmt::format("address {}", name), "cannot listen");
  }
  return {};
}

Result<asio::ip::tcp::endpoint> ParseAddress(const std::string& text, uint16_t port) {
  std::error_code error;
  const asio::ip::address address = asio::ip::make_address(text, error);
  if (error) return MakeError(ErrorCode::kGeneric, "bind: \"{}\" is not a numeric address", text);
  return asio::ip::tcp::endpoint(address, port);
}

// Does this machine have the address (and its family)? Judged on a port that nobody else has.
bool IsHere(const asio::ip::address& address) {
  const asio::ip::tcp::endpoint endpoint(address, 0);
  const auto fd = OpenSocket(address.is_v6() ? AF_INET6 : AF_INET, address.to_string());
  return fd.ok() && bind(fd->get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0;
}

Result<Listener> OpenTcp(const asio::ip::tcp::endpoint& endpoint, int backlog) {
  const bool v6 = endpoint.address().is_v6();
  Listener listener;
  listener.name = v6 ? fmt::format("[{}]:{}", endpoint.address().to_string(), endpoint.port())
                     : fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port());
  ASSIGN_OR_RETURN(listener.fd, OpenSocket(v6 ? AF_INET6 : AF_INET, listener.name));
  const int fd = listener.fd.get();
  RETURN_IF_ERROR(SetOption(fd, SOL_SOCKET, SO_REUSEADDR, listener.name));
  // Accepted sockets inherit it: one system call less per connection.
  RETURN_IF_ERROR(SetOption(fd, IPPROTO_TCP, TCP_NODELAY, listener.name));
  // So that IPv4 and IPv6 of one port are two listeners that don't collide.
  if (v6) RETURN_IF_ERROR(SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, listener.name));
  RETURN_IF_ERROR(BindAndListen(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size()),
                                backlog, listener.name));
  return listener;
}

// Makes room for a socket file: a stale one is removed; one on which somebody listens, or any other
// file, is left alone.
Status ClearSocketPath(const sockaddr_un& address, const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) {
    return MakeError(ErrorCode::kGeneric, "unix socket \"{}\": the path is taken by another file",
                     path);
  }
  ASSIGN_OR_RETURN(const UniqueFd probe, OpenSocket(AF_UNIX, path));
  const bool refused =
      connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno == ECONNREFUSED;
  if (!refused) {
    return MakeError(ErrorCode::kGeneric,
                     "unix socket \"{}\": already in use: somebody listens on it", path);
  }
  if (unlink(path.c_str()) == 0) return {};
  return SystemError(errno, fmt::format("unix socket \"{}\"", path),
                     "cannot remove the stale file");
}

Result<Listener> OpenUnix(const std::string& path, uint32_t permissions, int backlog) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return MakeError(ErrorCode::kGeneric, "unix socket \"{}\": the path is longer than {} bytes",
                     path, sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  RETURN_IF_ERROR(ClearSocketPath(address, path));

  Listener listener{.fd = {}, .name = path, .unix_socket_path = path};
  ASSIGN_OR_RETURN(listener.fd, OpenSocket(AF_UNIX, path));
  RETURN_IF_ERROR(BindAndListen(listener.fd.get(), reinterpret_cast<const sockaddr*>(&address),
                                sizeof address, backlog, path));
  // The umask kept others out until here.
  if (permissions != 0 && chmod(path.c_str(), static_cast<mode_t>(permissions)) != 0) {
    return SystemError(errno, fmt::format("unix socket \"{}\"", path),
                       "cannot set its permissions");
  }
  return listener;
}

// "*" is every address there is: IPv6 only where the machine has it.
std::vector<std::string> ExpandBind(const std::vector<std::string>& bind) {
  std::vector<std::string> addresses;
  for (const std::string& text : bind) {
    if (text == "*") {
      addresses.insert(addresses.end(), {"0.0.0.0", "-::"});
    } else {
      addresses.push_back(text);
    }
  }
  return addresses;
}

}  // namespace

std::string FindForeignAddress(const ListenerOptions& options) {
  if (options.port == 0) return "";
  for (const std::string& text : ExpandBind(options.bind)) {
    std::error_code error;
    const auto address = asio::ip::make_address(text.substr(text.starts_with('-') ? 1 : 0), error);
    if (error || !address.is_loopback()) return text;
  }
  return "";
}

Result<std::vector<Listener>> OpenListeners(const ListenerOptions& options) {
  std::vector<Listener> listeners;
  for (std::string_view text : ExpandBind(options.bind)) {
    if (options.port == 0) break;
    const bool optional = text.starts_with('-');
    if (optional) text.remove_prefix(1);
    ASSIGN_OR_RETURN(const auto endpoint, ParseAddress(std::string(text), options.port));
    if (optional && !IsHere(endpoint.address())) continue;
    ASSIGN_OR_RETURN(Listener listener, OpenTcp(endpoint, options.backlog));
    listeners.push_back(std::move(listener));
  }
  if (!options.unix_socket.empty()) {
    ASSIGN_OR_RETURN(Listener listener, OpenUnix(options.unix_socket,
                                                 options.unix_socket_permissions, options.backlog));
    listeners.push_back(std::move(listener));
  }
  if (listeners.empty()) {
    return MakeError(
        ErrorCode::kGeneric,
        "nowhere to listen: no address of \"bind\" is usable and no unix_socket is set");
  }
  return listeners;
}

}  // namespace warren
