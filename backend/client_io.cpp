#include "backend/client_io.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "base/clock.h"
#include "conf/settings.h"
#include "lwlock/lwlock.h"
#include "shmem/latch.h"
#include "shmem/stats.h"

namespace warren {
namespace {

constexpr int64_t kGentleCloseMs = 1000;

void SetOption(int fd, int level, int option, int value) {
  // Fails on Unix sockets, where the TCP options mean nothing.
  (void)setsockopt(fd, level, option, &value, sizeof(value));
}

std::string AddressText(const sockaddr_storage& address, const std::string& unix_path) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
    return fmt::format("{}:{}", text, ntohs(in.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof(text));
    return fmt::format("[{}]:{}", text, ntohs(in.sin6_port));
  }
  return unix_path + ":0";
}

}  // namespace

ClientIo::ClientIo(int fd) : fd_(fd) {
  Latch::GuardSocket(fd);
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  const int keepalive_s = static_cast<int>(GetSettings().tcp_keepalive_ms / 1000);
  if (keepalive_s == 0) return;
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_s);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(keepalive_s / 3, 1));
  SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

// A system call only when the setting has changed.
void ClientIo::ApplyIdleTimeout() {
  const int64_t timeout_ms = GetSettings().client_idle_timeout_ms;
  if (timeout_ms == receive_timeout_ms_) return;
  receive_timeout_ms_ = timeout_ms;
  const timeval timeout{.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

IoEvent ClientIo::Outcome(ssize_t n, size_t* received) {
  if (n < 0) return errno == EINTR || errno == EAGAIN ? IoEvent::kTimeout : IoEvent::kBroken;
  if (n == 0) return IoEvent::kEnd;
  *received = static_cast<size_t>(n);
  Stats::Add(StatId::kReads);
  Stats::Add(StatId::kInputBytes, *received);
  return IoEvent::kReady;
}

IoEvent ClientIo::Receive(std::span<char> space, size_t* received) {
  ApplyIdleTimeout();
  const int64_t started = receive_timeout_ms_ != 0 ? MonotonicUs() : 0;
  for (;;) {
    Latch::Arm();
    if (Latch::Pending()) return IoEvent::kInterrupted;
    const IoEvent event = Outcome(wait_.Receive(fd_, space), received);
    if (event != IoEvent::kTimeout) return event;
    if (Latch::Pending()) return IoEvent::kInterrupted;
    // The kernel's timer may be a moment early.
    const int64_t waited_us = receive_timeout_ms_ != 0 ? MonotonicUs() - started + 1000 : 0;
    if (receive_timeout_ms_ != 0 && waited_us >= receive_timeout_ms_ * 1000) return event;
  }
}

IoEvent ClientIo::ReceiveNow(std::span<char> space, size_t* received) {
  return Outcome(recv(fd_, space.data(), space.size(), MSG_DONTWAIT), received);
}

bool ClientIo::Send(std::string* out) {
  while (sent_ < out->size()) {
    const size_t left = out->size() - sent_;
    const ssize_t n = send(fd_, out->data() + sent_, left, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n < 0) return false;
    Stats::Add(StatId::kWrites);
    Stats::Add(StatId::kOutputBytes, static_cast<uint64_t>(n));
    sent_ += static_cast<size_t>(n);
    if (static_cast<size_t>(n) < left) {
      // Only when as much is gone as stays, so that a long backlog is not moved again and again.
      if (sent_ >= out->size() / 2) {
        out->erase(0, sent_);
        sent_ = 0;
      }
      return true;
    }
  }
  out->clear();
  sent_ = 0;
  return true;
}

void ClientIo::SendFront(const std::string& out, size_t end) {
  while (sent_ < end) {
    const ssize_t n = send(fd_, out.data() + sent_, end - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;  // full, or broken: whoever sends next finds out
    Stats::Add(StatId::kWrites);
    Stats::Add(StatId::kOutputBytes, static_cast<uint64_t>(n));
    sent_ += static_cast<size_t>(n);
  }
}

IoEvent ClientIo::Wait(bool input, bool output, int64_t timeout_ms) {
  const int events = (input ? POLLIN : 0) | (output ? POLLOUT : 0);
  pollfd poll{.fd = fd_, .events = static_cast<short>(events), .revents = 0};
  const ScopedWait wait(output ? WaitEvent::kClientWrite : WaitEvent::kClientRead);
  wait_.SetWorking(false);
  const int ready = Latch::Poll({&poll, 1}, timeout_ms);
  wait_.SetWorking(true);
  if (ready < 0) return IoEvent::kInterrupted;
  if (ready == 0) return IoEvent::kTimeout;
  return (poll.revents & (POLLERR | POLLNVAL)) != 0 ? IoEvent::kBroken : IoEvent::kReady;
}

void ClientIo::CloseGently() {
  shutdown(fd_, SHUT_WR);
  const int64_t end_ms = MonotonicMs() + kGentleCloseMs;
  char discarded[4096];
  size_t received = 0;
  for (;;) {
    const int64_t left_ms = end_ms - MonotonicMs();
    if (left_ms <= 0 || Wait(true, false, left_ms) != IoEvent::kReady) return;
    if (ReceiveNow(discarded, &received) != IoEvent::kReady) return;
  }
}

SocketAddresses AddressesOf(int fd) {
  SocketAddresses addresses;
  sockaddr_storage remote{};
  sockaddr_storage local{};
  socklen_t bytes = sizeof(local);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &bytes) != 0) return addresses;
  const auto* local_unix = reinterpret_cast<const sockaddr_un*>(&local);
  addresses.unix_socket = local.ss_family == AF_UNIX;
  const std::string path =
      addresses.unix_socket && bytes > offsetof(sockaddr_un, sun_path) ? local_unix->sun_path : "";
  bytes = sizeof(remote);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&remote), &bytes) != 0) return addresses;
  addresses.local = AddressText(local, path);
  addresses.remote = AddressText(remote, path);
  return addresses;
}

}  // namespace warren
