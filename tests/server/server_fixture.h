// How does a server test get a running Warren and talk to it?
//
// The real binary (or WARREN_TEST_PROGRAM), real sockets, hiredis; none of the server's code is
// linked. Everything that waits has a deadline, and everything that was started is gone when the
// objects are.
//
//   Server server({"--max_connections", "20"});           // fresh directory, free port, answers
//   PING CHECK(server.Command("SET", "k", "v").text == "OK"); Connection other = server.Connect();
//   CHECK(other("GET", "k").text == "v");
//   CHECK(server.Stop() == 0);                            // fast shutdown; exit code
//   server.Start();                                       // same directory, same port
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

struct redisContext;
struct redisReply;

namespace warren::test {

using Milliseconds = std::chrono::milliseconds;
inline constexpr Milliseconds kPatience{20'000};  // for anything that should take far less

// True as soon as `condition` is; false after `patience`.
bool WaitUntil(const std::function<bool()>& condition, Milliseconds patience = kPatience);

// A reply, copied out of hiredis (whose packaged version knows RESP2 only: tests of RESP3 look at
// raw bytes).
struct Reply {
  enum Type { kClosed, kStatus, kError, kInteger, kString, kNil, kArray, kOther };
  Type type = kClosed;  // kClosed: no reply came, the connection is gone
  std::string text;     // of statuses, errors, strings; hiredis's error if kClosed
  int64_t integer = 0;
  std::vector<Reply> elements;

  bool ok() const { return type == kStatus && text == "OK"; }
  bool is_error() const { return type == kError; }
  bool is_error(std::string_view prefix) const { return is_error() && text.starts_with(prefix); }
  bool closed() const { return type == kClosed; }
  bool nil() const { return type == kNil; }
};

// One client connection. Commands time out after kPatience.
class Connection {
 public:
  Connection() = default;
  static Connection Tcp(const std::string& host, int port);
  static Connection Unix(const std::string& path);
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;
  ~Connection();

  bool open() const;  // connected, and no error so far
  int fd() const;     // for raw reads and writes
  void Close();

  template <typename... Words>
  Reply operator()(Words&&... words) {
    return Send(std::vector<std::string>{std::string(std::forward<Words>(words))...});
  }
  Reply Send(const std::vector<std::string>& words);
  void Append(const std::vector<std::string>& words);  // pipelining: sent with the next Receive
  Reply Receive();

  // Bytes as they are, past hiredis. ReceiveRaw returns `count` bytes, fewer when the connection
  // was closed or patience ran out.
  void SendRaw(std::string_view bytes);
  std::string ReceiveRaw(size_t count, Milliseconds patience = kPatience);

  // True once the server has closed the connection; what came before is discarded.
  bool ClosedByServer(Milliseconds patience = kPatience);

 private:
  explicit Connection(redisContext* context) : context_(context) {}
  redisContext* context_ = nullptr;
};

// The end of a program that was run: its exit code, or 128 + the signal that killed it.
struct ProgramResult {
  int exit_code = -1;
  std::string output;  // standard output and error
};

// Runs the warren binary with `arguments` to its end (killed after `patience`: exit code 137).
ProgramResult RunWarren(const std::vector<std::string>& arguments,
                        Milliseconds patience = kPatience);

// A directory under /tmp that vanishes with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string ReadFile(const std::string& path);  // empty if there is none
void WriteFile(const std::string& path, std::string_view text);
std::vector<std::string> ListDirectory(const std::string& path);  // names
std::vector<std::string> ListLinks(const std::string& path);      // what the links in it point to
int FreePort();

// The direct children of `parent` (no zombies), and a process's command line with spaces between
// the words.
std::vector<pid_t> ChildrenOf(pid_t parent);
std::string CommandLineOf(pid_t pid);
bool ProcessExists(pid_t pid);  // false for zombies too

// One `warren serve`. Unless the arguments say otherwise: data directory of its own, free port on
// 127.0.0.1, a small cache, log on standard error, which goes to a file that log() reads.
class Server {
 public:
  struct NotStarted {};
  explicit Server(std::vector<std::string> arguments = {});  // started and ready, or the test fails
  Server(NotStarted, std::vector<std::string> arguments = {});
  ~Server();  // SIGKILLs what still runs; waits until the children are gone too
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Starts it and waits until it answers PING. A free port may be taken by somebody else between
  // choice and use; then another one is tried.
  void Start();
  // Starts it without waiting for anything.
  void Launch();
  // True when it answers PING; false when it exited before or patience ran out.
  bool WaitReady(Milliseconds patience = kPatience);

  void Signal(int signal) const;
  // Waits for the end: exit code, 128 + signal, or -1 if it still runs after `patience`.
  int WaitExit(Milliseconds patience = kPatience);
  // Fast shutdown by default (SIGTERM: smart, SIGQUIT: immediate); the exit code.
  int Stop(int signal = 2 /* SIGINT */);
  // SIGKILL to the postmaster; returns when its children are gone, too.
  void Kill();
  bool running();

  pid_t pid() const { return pid_; }
  int port() const { return port_; }
  const std::string& root() const { return root_.path(); }  // for files of the test
  std::string directory() const { return root() + "/data"; }
  std::string socket_path() const {
    return root() + "/socket";
  }                                                             // nobody listens there unless told
  std::vector<std::string>& arguments() { return arguments_; }  // in force at the next start
  std::string log() const;
  bool LogContains(std::string_view text, Milliseconds patience = kPatience) const;

  Connection Connect() const;
  // On one connection kept for this, renewed after a restart.
  template <typename... Words>
  Reply Command(Words&&... words) {
    return CommandWords(std::vector<std::string>{std::string(std::forward<Words>(words))...});
  }
  Reply CommandWords(const std::vector<std::string>& words);

  // The process that serves `connection` (CLIENT INFO's pid=), 0 if unknown.
  static pid_t BackendOf(Connection& connection);
  // The child whose title contains `text`, waiting for it; 0 if there is none.
  pid_t ChildTitled(std::string_view text, Milliseconds patience = kPatience) const;

 private:
  std::string log_path() const { return root() + "/log"; }

  TemporaryDirectory root_;
  std::vector<std::string> arguments_;
  int port_ = 0;
  pid_t pid_ = 0;
  int exit_code_ = -1;  // of the last run
  Connection connection_;
};

}  // namespace warren::test
