// How are the measured processes started, watched, and ended for certain?
//
// The lab itself only supervises; whatever is measured runs in children, pinned to processors in
// turn. A child dies with the lab (parent-death signal). A member of a team that ends badly, or a
// team that takes too long, ends its whole team with an error: so no mechanism needs a time limit
// of its own, and none can hang when its peer dies.
#pragma once

#include <fmt/format.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace warren::ipc {

// One child that runs `body`, then exits with 0. Killed with the object.
class Child {
 public:
  explicit Child(int index, FunctionRef<void()> body);
  ~Child();
  Child(Child&&) = default;
  Child& operator=(Child&&) = delete;

  pid_t pid() const { return pid_; }
  void Kill() const;  // SIGKILL
  // Reaps it: its wait status; nothing if it still runs at `deadline_ns` (MonotonicNs).
  std::optional<int> Wait(int64_t deadline_ns);
  // Becomes readable when the child ends; for poll().
  int descriptor() const { return descriptor_.get(); }

 private:
  pid_t pid_;
  UniqueFd descriptor_;
  std::optional<int> status_;
};

std::string DescribeStatus(int wait_status);

// What a member used between Begin() and End().
struct Usage {
  int64_t begin_ns = 0;  // MonotonicNs
  int64_t end_ns = 0;
  int64_t cpu_ns = 0;  // user and system
  int64_t sleeps = 0;  // voluntary context switches
};

struct TeamState;

// A process of a team, to itself.
class Member {
 public:
  Member(TeamState& team, int index) : team_(team), index_(index) {}

  int index() const { return index_; }
  // Waits until all members of the team are here.
  void StartTogether();
  // Brackets what is measured of this member.
  void Begin();
  void End();

 private:
  TeamState& team_;
  int index_;
};

// Ends the calling member and with it the run. `what` becomes RunTeam's error.
[[noreturn]] void FailMember(std::string_view what);
template <typename... Args>
[[noreturn]] void Fail(fmt::format_string<Args...> format, Args&&... args) {
  FailMember(fmt::format(format, std::forward<Args>(args)...));
}

inline constexpr int64_t kTeamLimitNs = 120'000'000'000;

// Runs body(0) .. body(count-1), each in a process of its own, and returns what each used. An error
// as soon as one ends in any way but by returning from `body`, or when they take too long.
Result<std::vector<Usage>> RunTeam(int count, FunctionRef<void(Member&)> body,
                                   int64_t limit_ns = kTeamLimitNs);

}  // namespace warren::ipc
