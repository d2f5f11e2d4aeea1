// How does a test run one body as many threads, and as many forked processes?
//
// ThreadSanitizer sees threads only; deaths and the shared mapping are real in processes only.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/function_ref.h"
#include "tests/support/test_extent.h"

namespace warren::test {

enum class ActorForm { kThreads, kProcesses };

// Runs body(0) .. body(count-1) at once; true if every one returned true within `limit_s` seconds.
// Processes that are too late are killed (threads can't be: ctest's time limit ends the test).
bool RunActors(ActorForm form, int count, FunctionRef<bool(int)> body, int limit_s = 100);

// One child that runs `body` and reports through its exit code. Killed with the object.
class Child {
 public:
  explicit Child(FunctionRef<bool()> body);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  void Kill();  // SIGKILL
  // Reaps it: its wait status, or -1 if it still ran after `limit_s` seconds (then it is killed).
  int Wait(int limit_s = 20);
  bool Succeeded(int limit_s = 20);  // exit code 0
  bool WasKilled(int limit_s = 20);  // by SIGKILL
  bool HasEnded();                   // reaps it if so; does not wait
  bool IsStopped() const;            // by SIGSTOP
  // Until the kernel says that it sleeps (in a system call); false after `limit_s` seconds.
  bool WaitUntilAsleep(int limit_s = 20) const;

 private:
  pid_t pid_;
  bool reaped_ = false;
  int status_ = 0;
};

// Calls `condition` until it is true; false after `limit_s` seconds.
bool WaitFor(FunctionRef<bool()> condition, int limit_s = 20);

// What `body` writes to standard error in a child of its own, and how that child ended.
struct ChildOutput {
  std::string text;
  int status;
};
ChildOutput RunAndCapture(FunctionRef<void()> body);

}  // namespace warren::test
