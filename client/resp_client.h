// How does a program of ours talk to a server?
//
// One request at a time over a blocking socket, in RESP2. Addresses are numbers: a static program
// can't look host names up without the libraries of the machine that it was built on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace warren {

struct ServerAddress {
  std::string host = "127.0.0.1";
  uint16_t port = 7432;
  std::string unix_socket;  // if not empty, instead of host and port
  std::string password;
};

// "127.0.0.1:7432", or the Unix socket's path.
std::string DescribeAddress(const ServerAddress& address);

struct RespReply {
  enum class Type : uint8_t { kStatus, kInteger, kBulk, kNull, kArray };
  Type type = Type::kNull;
  int64_t integer = 0;
  std::string text;  // of a status or bulk
  std::vector<RespReply> elements;
};

class RespClient {
 public:
  // Connected, and authenticated if there is a password.
  static Result<RespClient> Connect(const ServerAddress& address);

  // kGeneric: the server answered with an error, which is the message. kIo: the connection is gone.
  Result<RespReply> Call(const std::vector<std::string>& words);

 private:
  RespClient(UniqueFd socket, std::string name)
      : socket_(std::move(socket)), name_(std::move(name)) {}

  Status Send(std::string_view bytes);
  Status Receive();  // at least one byte more
  Result<std::string> ReadLine();
  Result<std::string> ReadBytes(size_t count);
  Result<RespReply> ReadReply(int depth);

  UniqueFd socket_;
  std::string name_;    // of the server, for errors
  std::string buffer_;  // received, from next_ on not used yet
  size_t next_ = 0;
};

}  // namespace warren
