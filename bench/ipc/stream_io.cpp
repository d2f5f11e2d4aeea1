#include "bench/ipc/stream_io.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bench/ipc/processes.h"
#include "bench/ipc/spinner.h"

namespace warren::ipc {
namespace {

Error SystemError(const char* call) {
  return MakeError(ErrorCode::kGeneric, "{}: {}", call, std::strerror(errno));
}

void EnlargeBuffers(int fd) {
  // Refused or cut down by the system's limits: then it is what it is.
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kKernelBufferBytes, sizeof kKernelBufferBytes);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kKernelBufferBytes, sizeof kKernelBufferBytes);
}

}  // namespace

bool TryAgain(const char* call) {
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    static Spinner spinner;
    spinner.Pause();
    return true;
  }
  if (errno == EINTR) return true;
  Fail("{}: {}", call, std::strerror(errno));
}

void WriteAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes = bytes.subspan(static_cast<size_t>(written));
    } else {
      TryAgain("write");
    }
  }
}

void ReadAll(int fd, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = read(fd, bytes.data(), bytes.size());
    if (got > 0) {
      bytes = bytes.subspan(static_cast<size_t>(got));
    } else if (got == 0) {
      Fail("read: the other end was closed");
    } else {
      TryAgain("read");
    }
  }
}

Status SetWaiting(int fd, Waiting waiting) {
  if (waiting == Waiting::kBlock) return {};
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return SystemError("fcntl");
  return {};
}

Result<Ends> OpenPipe() {
  int fds[2];
  if (pipe(fds) != 0) return SystemError("pipe");
  Ends ends = {UniqueFd(fds[0]), UniqueFd(fds[1])};
  fcntl(fds[1], F_SETPIPE_SZ, kKernelBufferBytes);  // refused: then it is what it is
  return ends;
}

Result<Ends> OpenUnixPair(int type) {
  int fds[2];
  if (socketpair(AF_UNIX, type, 0, fds) != 0) return SystemError("socketpair");
  for (const int fd : fds) EnlargeBuffers(fd);
  return Ends{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Result<Ends> OpenTcpPair() {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* general = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  if (bind(listener.get(), general, length) != 0 || listen(listener.get(), 1) != 0 ||
      getsockname(listener.get(), general, &length) != 0) {
    return SystemError("TCP over 127.0.0.1");
  }
  UniqueFd writer(socket(AF_INET, SOCK_STREAM, 0));
  if (connect(writer.get(), general, length) != 0) return SystemError("connect to 127.0.0.1");
  UniqueFd reader(accept(listener.get(), nullptr, nullptr));
  if (!reader.valid()) return SystemError("accept");
  const int on = 1;
  for (const int fd : {reader.get(), writer.get()}) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    EnlargeBuffers(fd);
  }
  return Ends{std::move(reader), std::move(writer)};
}

}  // namespace warren::ipc
