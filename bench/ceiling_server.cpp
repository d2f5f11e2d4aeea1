// How fast could a server be that does nothing but receive, count commands and answer a constant?
//
//   ceiling_server fork PORT    one process per connection, blocking recv: the most that any
//                               process-per-client server can reach on this machine
//   ceiling_server epoll PORT   one process for all, epoll: the same for an event loop
//
// Serves 127.0.0.1 until SIGTERM.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "bench/resp_batch.h"

namespace {

using warren::bench::AnswerCompleteCommands;

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

int Listen(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) Die("bind");
  if (listen(fd, 1024) != 0) Die("listen");
  return fd;
}

int Accept(int listener) {
  const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return fd;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

struct Connection {
  std::string input;
  std::string output;
};

// Receives once, answers what is complete. False when the connection is over.
bool ServeOnce(int fd, Connection* connection) {
  std::array<char, 64 * 1024> buffer;
  const ssize_t received = recv(fd, buffer.data(), buffer.size(), 0);
  if (received <= 0) return false;
  connection->input.append(buffer.data(), static_cast<size_t>(received));
  connection->output.clear();
  if (!AnswerCompleteCommands(&connection->input, &connection->output)) return false;
  std::string_view rest = connection->output;
  while (!rest.empty()) {
    const ssize_t sent = send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    rest.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

[[noreturn]] void ServeWithProcesses(int listener) {
  std::signal(SIGCHLD, SIG_IGN);  // nobody waits for the children
  const pid_t parent = getpid();
  while (true) {
    const int fd = Accept(listener);
    if (fd < 0) continue;
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      close(listener);
      Connection connection;
      while (ServeOnce(fd, &connection)) {
      }
      _exit(0);
    }
    close(fd);
  }
}

[[noreturn]] void ServeWithEpoll(int listener) {
  std::unordered_map<int, Connection> connections;
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  const auto watch = [poll](int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) Die("epoll_ctl");
  };
  watch(listener);
  std::array<epoll_event, 1024> events;
  while (true) {
    const int count = epoll_wait(poll, events.data(), static_cast<int>(events.size()), -1);
    for (size_t i = 0; static_cast<int>(i) < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener) {
        if (const int client = Accept(listener); client >= 0) watch(client);
      } else if (!ServeOnce(fd, &connections[fd])) {
        connections.erase(fd);
        close(fd);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc == 3 ? argv[1] : "";
  const std::string_view port_text = argc == 3 ? argv[2] : "";
  uint16_t port = 0;
  std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (port == 0 || (mode != "fork" && mode != "epoll")) {
    std::fprintf(stderr, "usage: ceiling_server fork|epoll PORT\n");
    return 2;
  }
  const int listener = Listen(port);
  if (mode == "fork") ServeWithProcesses(listener);
  ServeWithEpoll(listener);
}
