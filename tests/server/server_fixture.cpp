#include "tests/server/server_fixture.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <utility>

#include "doctest/doctest.h"

namespace warren::test {
namespace {

using Clock = std::chrono::steady_clock;

timeval ToTimeval(Milliseconds time) {
  return {.tv_sec = time.count() / 1000, .tv_usec = (time.count() % 1000) * 1000};
}

Reply Convert(const redisReply& from) {
  Reply reply;
  reply.integer = from.integer;
  if (from.str != nullptr) reply.text.assign(from.str, from.len);
  switch (from.type) {
    case REDIS_REPLY_STATUS:
      reply.type = Reply::kStatus;
      break;
    case REDIS_REPLY_ERROR:
      reply.type = Reply::kError;
      break;
    case REDIS_REPLY_INTEGER:
      reply.type = Reply::kInteger;
      break;
    case REDIS_REPLY_STRING:
      reply.type = Reply::kString;
      break;
    case REDIS_REPLY_NIL:
      reply.type = Reply::kNil;
      break;
    case REDIS_REPLY_ARRAY:
      reply.type = Reply::kArray;
      break;
    default:
      reply.type = Reply::kOther;
      break;
  }
  for (size_t i = 0; i < from.elements; ++i) reply.elements.push_back(Convert(*from.element[i]));
  return reply;
}

std::string Program() {
  const char* other = std::getenv("WARREN_TEST_PROGRAM");
  return other != nullptr ? other : WARREN_BINARY;
}

// Forks and executes the binary with both outputs in `output_path` (appended). The child dies with
// the test program.
pid_t Spawn(const std::vector<std::string>& arguments, const std::string& output_path) {
  std::vector<std::string> words{Program()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  const int output = open(output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int input = open("/dev/null", O_RDONLY);
  if (output < 0 || input < 0) _exit(127);
  dup2(input, 0);
  dup2(output, 1);
  dup2(output, 2);
  close_range(3, ~0u, 0);
  execv(argv[0], argv.data());
  _exit(127);
}

int ExitCodeOf(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// The exit code, or nothing yet: -1.
int TryReap(pid_t pid) {
  int status = 0;
  return waitpid(pid, &status, WNOHANG) == pid ? ExitCodeOf(status) : -1;
}

bool HasOption(const std::vector<std::string>& arguments, std::string_view name) {
  return std::find(arguments.begin(), arguments.end(), name) != arguments.end();
}

}  // namespace

bool WaitUntil(const std::function<bool()>& condition, Milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    poll(nullptr, 0, 2);
  }
  return true;
}

// -- Connection

Connection Connection::Tcp(const std::string& host, int port) {
  redisContext* context = redisConnectWithTimeout(host.c_str(), port, ToTimeval(kPatience));
  if (context != nullptr) redisSetTimeout(context, ToTimeval(kPatience));
  return Connection(context);
}

Connection Connection::Unix(const std::string& path) {
  redisContext* context = redisConnectUnixWithTimeout(path.c_str(), ToTimeval(kPatience));
  if (context != nullptr) redisSetTimeout(context, ToTimeval(kPatience));
  return Connection(context);
}

Connection::Connection(Connection&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

Connection::~Connection() { Close(); }

bool Connection::open() const { return context_ != nullptr && context_->err == 0; }

int Connection::fd() const { return context_ == nullptr ? -1 : context_->fd; }

void Connection::Close() {
  if (context_ != nullptr) redisFree(std::exchange(context_, nullptr));
}

void Connection::Append(const std::vector<std::string>& words) {
  if (context_ == nullptr) return;
  std::vector<const char*> bytes;
  std::vector<size_t> sizes;
  for (const std::string& word : words) {
    bytes.push_back(word.data());
    sizes.push_back(word.size());
  }
  redisAppendCommandArgv(context_, static_cast<int>(words.size()), bytes.data(), sizes.data());
}

Reply Connection::Receive() {
  void* raw = nullptr;
  if (context_ == nullptr || redisGetReply(context_, &raw) != REDIS_OK || raw == nullptr) {
    Reply reply;
    reply.text = context_ == nullptr ? "not connected" : context_->errstr;
    return reply;
  }
  Reply reply = Convert(*static_cast<redisReply*>(raw));
  freeReplyObject(raw);
  return reply;
}

Reply Connection::Send(const std::vector<std::string>& words) {
  Append(words);
  return Receive();
}

void Connection::SendRaw(std::string_view bytes) {
  REQUIRE(fd() >= 0);
  while (!bytes.empty()) {
    const ssize_t sent = send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

std::string Connection::ReceiveRaw(size_t count, Milliseconds patience) {
  std::string bytes;
  const auto deadline = Clock::now() + patience;
  while (bytes.size() < count && fd() >= 0) {
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - Clock::now()).count();
    pollfd wait{.fd = fd(), .events = POLLIN, .revents = 0};
    if (left <= 0 || poll(&wait, 1, static_cast<int>(left)) <= 0) break;
    char chunk[16384];
    const ssize_t got = recv(fd(), chunk, std::min(sizeof chunk, count - bytes.size()), 0);
    if (got <= 0) break;
    bytes.append(chunk, static_cast<size_t>(got));
  }
  return bytes;
}

bool Connection::ClosedByServer(Milliseconds patience) {
  if (context_ == nullptr || context_->fd < 0) return true;  // hiredis closes on a failed connect
  const auto deadline = Clock::now() + patience;
  for (;;) {
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - Clock::now()).count();
    pollfd wait{.fd = context_->fd, .events = POLLIN, .revents = 0};
    if (left <= 0 || poll(&wait, 1, static_cast<int>(left)) <= 0) return false;
    char bytes[4096];
    if (recv(context_->fd, bytes, sizeof bytes, 0) <= 0) return true;
  }
}

// -- Programs and files

ProgramResult RunWarren(const std::vector<std::string>& arguments, Milliseconds patience) {
  TemporaryDirectory directory;
  const std::string output = directory.path() + "/output";
  const pid_t pid = Spawn(arguments, output);
  int code = -1;
  if (!WaitUntil([&] { return (code = TryReap(pid)) >= 0; }, patience)) {
    kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    code = ExitCodeOf(status);
  }
  return {code, ReadFile(output)};
}

TemporaryDirectory::TemporaryDirectory() {
  char path[] = "/tmp/warren_test_XXXXXX";
  REQUIRE(mkdtemp(path) != nullptr);
  path_ = path;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteFile(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  REQUIRE(file.flush().good());
}

std::vector<std::string> ListDirectory(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

std::vector<std::string> ListLinks(const std::string& path) {
  std::vector<std::string> targets;
  for (const std::string& name : ListDirectory(path)) {
    std::error_code gone;
    targets.push_back(std::filesystem::read_symlink(path + "/" + name, gone).string());
  }
  return targets;
}

int FreePort() {
  // Below the range from which the kernel takes the ports of outgoing connections.
  static std::minstd_rand random(static_cast<unsigned>(getpid()) * 7919u + std::random_device{}());
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = std::uniform_int_distribution<int>(12'000, 32'000)(random);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (free) return port;
  }
  FAIL("no free port found");
  return 0;
}

std::vector<pid_t> ChildrenOf(pid_t parent) {
  std::vector<pid_t> children;
  const std::string pid = std::to_string(parent);
  std::ifstream list("/proc/" + pid + "/task/" + pid + "/children");
  for (pid_t child = 0; list >> child;) {
    if (ProcessExists(child)) children.push_back(child);
  }
  return children;
}

std::string CommandLineOf(pid_t pid) {
  std::string text = ReadFile("/proc/" + std::to_string(pid) + "/cmdline");
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

bool ProcessExists(pid_t pid) {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.size() > name_end + 2 && stat[name_end + 2] != 'Z' &&
         stat[name_end + 2] != 'X';
}

// -- Server

Server::Server(NotStarted, std::vector<std::string> arguments) : arguments_(std::move(arguments)) {
  port_ = FreePort();
}

Server::Server(std::vector<std::string> arguments) : Server(NotStarted{}, std::move(arguments)) {
  Start();
}

Server::~Server() { Kill(); }

void Server::Launch() {
  REQUIRE(pid_ == 0);
  connection_.Close();
  exit_code_ = -1;
  std::vector<std::string> words{"serve"};
  const auto add_default = [&](std::string_view name, std::string value) {
    if (HasOption(arguments_, name)) return;
    words.emplace_back(name);
    words.push_back(std::move(value));
  };
  add_default("--data_directory", directory());
  add_default("--port", std::to_string(port_));
  add_default("--bind", "127.0.0.1");
  add_default("--shared_buffers", "8mb");
  // A configuration file, when there is one, is the first argument.
  if (!arguments_.empty() && !arguments_[0].starts_with("--")) {
    words.insert(words.begin() + 1, arguments_[0]);
    words.insert(words.end(), arguments_.begin() + 1, arguments_.end());
  } else {
    words.insert(words.end(), arguments_.begin(), arguments_.end());
  }
  pid_ = Spawn(words, log_path());
}

void Server::Start() {
  for (int attempt = 0; attempt < 5; ++attempt) {
    const size_t log_before = log().size();
    Launch();
    if (WaitReady()) return;
    const bool taken = log().find("in use", log_before) != std::string::npos;
    if (!taken || running()) break;
    port_ = FreePort();
  }
  FAIL("the server did not start: " << log());
}

bool Server::WaitReady(Milliseconds patience) {
  bool ready = false;
  WaitUntil(
      [&] {
        if (!running()) return true;
        Connection connection = Connect();
        ready = connection.open() && connection("PING").type != Reply::kClosed;
        return ready;
      },
      patience);
  return ready;
}

void Server::Signal(int signal) const {
  REQUIRE(pid_ > 0);
  kill(pid_, signal);
}

bool Server::running() {
  if (pid_ == 0) return false;
  const int code = TryReap(pid_);
  if (code < 0) return true;
  exit_code_ = code;
  pid_ = 0;
  return false;
}

int Server::WaitExit(Milliseconds patience) {
  WaitUntil([&] { return !running(); }, patience);
  return pid_ == 0 ? exit_code_ : -1;
}

int Server::Stop(int signal) {
  Signal(signal);
  return WaitExit();
}

void Server::Kill() {
  if (!running()) return;
  const std::vector<pid_t> children = ChildrenOf(pid_);
  kill(pid_, SIGKILL);
  WaitExit();
  for (const pid_t child : children) {
    if (!WaitUntil([&] { return !ProcessExists(child); })) {
      kill(child, SIGKILL);
      FAIL_CHECK("process " << child << " outlived its postmaster: " << CommandLineOf(child));
    }
  }
}

std::string Server::log() const { return ReadFile(log_path()); }

bool Server::LogContains(std::string_view text, Milliseconds patience) const {
  return WaitUntil([&] { return log().find(text) != std::string::npos; }, patience);
}

Connection Server::Connect() const { return Connection::Tcp("127.0.0.1", port_); }

Reply Server::CommandWords(const std::vector<std::string>& words) {
  if (!connection_.open()) connection_ = Connect();
  return connection_.Send(words);
}

pid_t Server::BackendOf(Connection& connection) {
  const std::string info = " " + connection("CLIENT", "INFO").text;
  const size_t at = info.find(" pid=");
  return at == std::string::npos ? 0 : std::atoi(info.c_str() + at + 5);
}

pid_t Server::ChildTitled(std::string_view text, Milliseconds patience) const {
  pid_t found = 0;
  WaitUntil(
      [&] {
        for (const pid_t child : ChildrenOf(pid_)) {
          if (CommandLineOf(child).find(text) != std::string::npos) found = child;
        }
        return found != 0;
      },
      patience);
  return found;
}

}  // namespace warren::test
