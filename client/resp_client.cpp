#include "client/resp_client.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/file.h"
#include "client/interrupt.h"

namespace warren {
namespace {

constexpr size_t kReceiveBytes = 256 * 1024;
constexpr int kMostDepth = 4;
constexpr int64_t kMostBulkBytes = 64 << 20;

Result<UniqueFd> ConnectTo(int family, const sockaddr* address, socklen_t bytes,
                           const std::string& name) {
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return SystemError(errno, name, "no socket");
  if (connect(fd.get(), address, bytes) != 0) return SystemError(errno, name, "cannot connect");
  return fd;
}

Result<UniqueFd> ConnectUnix(const std::string& path, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return MakeError(ErrorCode::kGeneric, "{}: the path is too long for a Unix socket", name);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return ConnectTo(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address, name);
}

Result<UniqueFd> ConnectTcp(const std::string& host, uint16_t port, const std::string& name) {
  const std::string number = host == "localhost" ? "127.0.0.1" : host;
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  if (inet_pton(AF_INET, number.c_str(), &v4.sin_addr) == 1) {
    return ConnectTo(AF_INET, reinterpret_cast<const sockaddr*>(&v4), sizeof v4, name);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  if (inet_pton(AF_INET6, number.c_str(), &v6.sin6_addr) == 1) {
    return ConnectTo(AF_INET6, reinterpret_cast<const sockaddr*>(&v6), sizeof v6, name);
  }
  return MakeError(ErrorCode::kGeneric,
                   "\"{}\" is not an address: names are not looked up, give its numbers", host);
}

std::string Encode(const std::vector<std::string>& words) {
  std::string request = fmt::format("*{}\r\n", words.size());
  for (const std::string& word : words) request += fmt::format("${}\r\n{}\r\n", word.size(), word);
  return request;
}

}  // namespace

std::string DescribeAddress(const ServerAddress& address) {
  if (!address.unix_socket.empty()) return address.unix_socket;
  return fmt::format("{}:{}", address.host, address.port);
}

Result<RespClient> RespClient::Connect(const ServerAddress& address) {
  const std::string name = "server " + DescribeAddress(address);
  ASSIGN_OR_RETURN(UniqueFd socket, address.unix_socket.empty()
                                        ? ConnectTcp(address.host, address.port, name)
                                        : ConnectUnix(address.unix_socket, name));
  RespClient client(std::move(socket), name);
  if (!address.password.empty()) RETURN_IF_ERROR(client.Call({"AUTH", address.password}));
  return client;
}

Status RespClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(errno, name_, "cannot send");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Status RespClient::Receive() {
  buffer_.erase(0, std::exchange(next_, 0));
  const size_t before = buffer_.size();
  buffer_.resize(before + kReceiveBytes);
  ssize_t n = 0;
  do {
    if (Status interrupted = CheckInterrupted(); !interrupted.ok()) return interrupted;
    n = recv(socket_.get(), buffer_.data() + before, kReceiveBytes, 0);
  } while (n < 0 && errno == EINTR);
  buffer_.resize(before + static_cast<size_t>(n < 0 ? 0 : n));
  if (n < 0) return SystemError(errno, name_, "cannot receive");
  if (n == 0) return MakeError(ErrorCode::kIo, "{}: it has closed the connection", name_);
  return {};
}

Result<std::string> RespClient::ReadLine() {
  size_t end = std::string::npos;
  while ((end = buffer_.find("\r\n", next_)) == std::string::npos) RETURN_IF_ERROR(Receive());
  std::string line = buffer_.substr(next_, end - next_);
  next_ = end + 2;
  return line;
}

Result<std::string> RespClient::ReadBytes(size_t count) {
  while (buffer_.size() - next_ < count + 2) RETURN_IF_ERROR(Receive());
  std::string bytes = buffer_.substr(next_, count);
  next_ += count + 2;
  return bytes;
}

Result<RespReply> RespClient::ReadReply(int depth) {
  ASSIGN_OR_RETURN(const std::string line, ReadLine());
  const char type = line.empty() ? '\0' : line[0];
  const std::string rest = line.substr(line.empty() ? 0 : 1);
  if (type == '+') return RespReply{.type = RespReply::Type::kStatus, .text = rest, .elements = {}};
  if (type == '-') return MakeError(ErrorCode::kGeneric, "{}: {}", name_, rest);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  const bool valid = error == std::errc() && end == rest.data() + rest.size();
  if (valid && type == ':') {
    return RespReply{
        .type = RespReply::Type::kInteger, .integer = number, .text = {}, .elements = {}};
  }
  if (valid && number == -1) return RespReply{};
  if (valid && type == '$' && number >= 0 && number <= kMostBulkBytes) {
    ASSIGN_OR_RETURN(std::string text, ReadBytes(static_cast<size_t>(number)));
    return RespReply{.type = RespReply::Type::kBulk, .text = std::move(text), .elements = {}};
  }
  if (valid && type == '*' && number >= 0 && depth < kMostDepth) {
    RespReply array{.type = RespReply::Type::kArray, .text = {}, .elements = {}};
    for (int64_t i = 0; i < number; ++i) {
      ASSIGN_OR_RETURN(RespReply element, ReadReply(depth + 1));
      array.elements.push_back(std::move(element));
    }
    return array;
  }
  return MakeError(ErrorCode::kIo, "{}: it does not speak the Redis protocol", name_);
}

Result<RespReply> RespClient::Call(const std::vector<std::string>& words) {
  RETURN_IF_ERROR(Send(Encode(words)));
  return ReadReply(0);
}

}  // namespace warren
