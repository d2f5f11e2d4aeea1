// How many instructions does a server's process execute in user mode for one command?
//
//   instruction_count PORT COMMAND [ARGUMENT...]
//
// Stepped one by one through ptrace, so that no performance counters are needed and the figure is
// the same every time: the backend of one connection gets a batch of 50 commands and one of 100;
// what the second takes more is the cost of 50. Prints one number. To count another process one
// must be root or allowed to trace it.
#include <hiredis/hiredis.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kBatch = 50;
constexpr int kWarmUp = 2'000;
constexpr std::chrono::milliseconds kLookAgain{2};

struct Free {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
  void operator()(redisContext* context) const { redisFree(context); }
};
using Reply = std::unique_ptr<redisReply, Free>;
using Context = std::unique_ptr<redisContext, Free>;

[[noreturn]] void Fail(const std::string& why) { throw std::runtime_error(why); }

Reply Receive(redisContext* context) {
  void* raw = nullptr;
  if (redisGetReply(context, &raw) != REDIS_OK) Fail(context->errstr);
  Reply reply(static_cast<redisReply*>(raw));
  if (reply->type == REDIS_REPLY_ERROR) Fail(reply->str);
  return reply;
}

pid_t BackendOf(redisContext* context) {
  redisAppendCommand(context, "CLIENT INFO");
  const Reply reply = Receive(context);
  const char* pid = std::strstr(reply->str, " pid=");
  if (pid == nullptr) Fail("CLIENT INFO names no pid");
  return std::atoi(pid + 5);
}

// One send, so that the server finds them all in its input at once.
void SendBatch(redisContext* context, int argc, const char** argv, int count) {
  for (int i = 0; i < count; ++i) redisAppendCommandArgv(context, argc, argv, nullptr);
  for (int i = 0; i < count; ++i) Receive(context);
}

// Steps the process `pid` from its attachment to the end of its life here. ptrace's calls must all
// come from one thread, and that thread sleeps while the process does.
class Stepper {
 public:
  explicit Stepper(pid_t pid) : pid_(pid), thread_([this] { Run(); }) {
    while (!attached_ && error_ == 0) std::this_thread::yield();
    if (error_ != 0) {
      thread_.join();
      Fail(std::string("ptrace: ") + std::strerror(error_));
    }
  }
  ~Stepper() {
    if (thread_.joinable()) thread_.detach();  // after a failure; the program ends
  }
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;
  // `wake` makes the process run once more, so that the stepping thread sees that it shall end.
  template <typename Wake>
  void End(Wake wake) {
    ending_ = true;
    wake();
    thread_.join();
  }

  // When the process has gone to sleep, and did not just pass through a short sleep.
  long long CountWhenAsleep() const {
    for (long long last = -1;;) {
      const long long now = count_;
      if (IsAsleep() && now == last) return now;
      last = now;
      std::this_thread::sleep_for(kLookAgain);
    }
  }

 private:
  // Not so while it is stopped between two instructions.
  bool IsAsleep() const {
    std::ifstream stat("/proc/" + std::to_string(pid_) + "/stat");
    const std::string text((std::istreambuf_iterator<char>(stat)), {});
    const size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) Fail("the server's process is gone");
    return text[name_end + 2] == 'S';
  }

  void Run() {
    int status = 0;
    if (ptrace(PTRACE_SEIZE, pid_, nullptr, nullptr) != 0 ||
        ptrace(PTRACE_INTERRUPT, pid_, nullptr, nullptr) != 0 ||
        waitpid(pid_, &status, __WALL) != pid_) {
      error_ = errno;
      return;
    }
    attached_ = true;
    for (int signal = 0; !ending_; ++count_) {
      if (ptrace(PTRACE_SINGLESTEP, pid_, nullptr, signal) != 0) break;
      if (waitpid(pid_, &status, __WALL) != pid_ || !WIFSTOPPED(status)) return;  // it is gone
      const bool step = WSTOPSIG(status) == SIGTRAP || status >> 16 != 0;
      signal = step ? 0 : WSTOPSIG(status);
    }
    ptrace(PTRACE_DETACH, pid_, nullptr, nullptr);
  }

  const pid_t pid_;
  std::atomic<long long> count_ = 0;
  std::atomic<bool> attached_ = false;
  std::atomic<bool> ending_ = false;
  std::atomic<int> error_ = 0;
  std::thread thread_;
};

double InstructionsPerCommand(int port, int argc, const char** argv) {
  const Context context(redisConnect("127.0.0.1", port));
  if (context == nullptr || context->err != 0) Fail("cannot connect");
  const auto send = [&](int count) { SendBatch(context.get(), argc, argv, count); };
  send(kWarmUp);
  Stepper stepper(BackendOf(context.get()));
  const auto cost = [&](int count) {
    const long long before = stepper.CountWhenAsleep();
    send(count);
    return stepper.CountWhenAsleep() - before;
  };
  cost(kBatch);
  const long long one = cost(kBatch), two = cost(2 * kBatch);
  stepper.End([&] { send(1); });
  return static_cast<double>(two - one) / kBatch;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: instruction_count PORT COMMAND [ARGUMENT...]\n");
    return 2;
  }
  try {
    std::vector<const char*> words(argv + 2, argv + argc);
    std::printf("%.0f\n", InstructionsPerCommand(std::atoi(argv[1]), argc - 2, words.data()));
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "instruction_count: %s\n", failure.what());
    return 1;
  }
}
