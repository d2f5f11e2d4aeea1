#include "tests/support/actors.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace warren::test {
namespace {

pid_t ForkChild(FunctionRef<bool()> body) {
  std::fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) std::abort();
  if (pid > 0) return pid;
  // No child outlives the test, however that ends.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(3);
  // doctest's handlers belong to the parent.
  for (const int signal_number : {SIGABRT, SIGSEGV, SIGTERM, SIGINT})
    signal(signal_number, SIG_DFL);
  const bool ok = body();
  std::fflush(nullptr);
  _exit(ok ? 0 : 1);
}

char StateOf(pid_t pid) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/stat", static_cast<int>(pid));
  std::FILE* file = std::fopen(path, "r");
  if (file == nullptr) return '?';
  char line[512] = "";
  const size_t bytes = std::fread(line, 1, sizeof line - 1, file);
  std::fclose(file);
  line[bytes] = '\0';
  const char* after_name = std::strrchr(line, ')');
  return after_name == nullptr ? '?' : after_name[2];
}

bool RunThreads(int count, FunctionRef<bool(int)> body) {
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&, i] { good += body(i) ? 1 : 0; });
  for (std::thread& thread : threads) thread.join();
  return good == count;
}

bool RunProcesses(int count, FunctionRef<bool(int)> body, int limit_s) {
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < count; ++i) {
    children.push_back(std::make_unique<Child>([&, i] { return body(i); }));
  }
  const int64_t deadline = MonotonicNs() + int64_t{limit_s} * 1'000'000'000;
  bool ok = true;
  for (auto& child : children) {
    const int64_t left = deadline - MonotonicNs();
    ok &= child->Succeeded(left <= 0 ? 0 : static_cast<int>(left / 1'000'000'000 + 1));
  }
  return ok;
}

}  // namespace

bool RunActors(ActorForm form, int count, FunctionRef<bool(int)> body, int limit_s) {
  return form == ActorForm::kThreads ? RunThreads(count, body) : RunProcesses(count, body, limit_s);
}

Child::Child(FunctionRef<bool()> body) : pid_(ForkChild(body)) {}

Child::~Child() {
  if (reaped_) return;
  Kill();
  Wait();
}

void Child::Kill() {
  if (!reaped_) kill(pid_, SIGKILL);
}

int Child::Wait(int limit_s) {
  if (reaped_) return status_;
  if (WaitFor([this] { return HasEnded(); }, limit_s)) return status_;
  kill(pid_, SIGKILL);
  waitpid(pid_, &status_, 0);
  reaped_ = true;
  status_ = -1;
  return status_;
}

bool Child::HasEnded() {
  reaped_ = reaped_ || waitpid(pid_, &status_, WNOHANG) == pid_;
  return reaped_;
}

bool Child::Succeeded(int limit_s) {
  const int status = Wait(limit_s);
  return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool Child::WasKilled(int limit_s) {
  const int status = Wait(limit_s);
  return status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

bool Child::IsStopped() const { return StateOf(pid_) == 'T'; }

bool Child::WaitUntilAsleep(int limit_s) const {
  return WaitFor([this] { return StateOf(pid_) == 'S'; }, limit_s);
}

bool WaitFor(FunctionRef<bool()> condition, int limit_s) {
  const int64_t deadline = MonotonicNs() + int64_t{limit_s} * 1'000'000'000;
  while (!condition()) {
    if (MonotonicNs() > deadline) return false;
    usleep(200);
  }
  return true;
}

ChildOutput RunAndCapture(FunctionRef<void()> body) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  Child child([&] {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    body();
    return true;
  });
  close(ends[1]);
  ChildOutput output;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
    output.text.append(buffer, static_cast<size_t>(n));
  }
  close(ends[0]);
  output.status = child.Wait();
  return output;
}

}  // namespace warren::test
