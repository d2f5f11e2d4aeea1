// How many connections per second does a server take, one command included?
//
//   connect_rate PORT CLIENTS SECONDS
//
// CLIENTS threads each connect to 127.0.0.1, send PING, read the answer, close, and start over.
// Prints one number: connections per second. Fails if any connection was refused or answered wrong.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// One connection from beginning to end: 0, or the errno that says why not.
int ConnectAndPing(const sockaddr_in& address) {
  constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";
  constexpr std::string_view kPong = "+PONG\r\n";
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::array<char, 64> answer;
  errno = EPROTO;  // a wrong or short answer sets no errno of its own
  const bool right =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      send(fd, kPing.data(), kPing.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(kPing.size()) &&
      recv(fd, answer.data(), kPong.size(), MSG_WAITALL) == static_cast<ssize_t>(kPong.size()) &&
      std::memcmp(answer.data(), kPong.data(), kPong.size()) == 0;
  const int reason = right ? 0 : errno;
  close(fd);
  return reason;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: connect_rate PORT CLIENTS SECONDS\n");
    return 2;
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(argv[1])));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int clients = std::atoi(argv[2]);
  const auto start = Clock::now();
  const auto end = start + std::chrono::seconds(std::atoi(argv[3]));

  std::atomic<int> connections = 0;
  std::atomic<int> failure = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&] {
      while (Clock::now() < end && failure == 0) {
        if (const int reason = ConnectAndPing(address); reason == 0) {
          ++connections;
        } else {
          failure = reason;
        }
      }
    });
  }
  threads.clear();  // joins
  const std::chrono::duration<double> elapsed = Clock::now() - start;
  if (failure != 0) {
    std::fprintf(stderr, "connect_rate: a connection failed: %s\n", std::strerror(failure));
    return 1;
  }
  std::printf("%.0f\n", connections / elapsed.count());
}
