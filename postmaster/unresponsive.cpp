#include "postmaster/unresponsive.h"

#include <algorithm>

#include "shmem/segment.h"

namespace warren {
namespace {

bool IsToldToEnd(const Child& child) {
  return Segment::Procs()[child.owner.slot].end_requested.load() == child.owner.generation;
}

}  // namespace

std::optional<int64_t> EndRequests::Look(std::span<const Child> children, int64_t now_ms,
                                         FunctionRef<void(const Child&)> too_late) {
  std::erase_if(told_, [&](const auto& entry) {
    // With the generation, since a pid is used again.
    return std::ranges::none_of(children, [&](const Child& child) {
      return child.pid == entry.first && child.owner.generation == entry.second.generation;
    });
  });
  std::optional<int64_t> next_ms;
  for (const Child& child : children) {
    if (child.pid == 0 || !IsToldToEnd(child)) continue;
    Told& told = told_.try_emplace(child.pid, Told{child.owner.generation, now_ms + kEndGraceMs})
                     .first->second;
    if (told.killed) continue;
    if (now_ms >= told.deadline_ms) {
      told.killed = true;
      too_late(child);
      continue;
    }
    const int64_t left_ms = told.deadline_ms - now_ms;
    next_ms = std::min(left_ms, next_ms.value_or(left_ms));
  }
  return next_ms;
}

bool StopRecord::MayContinue(pid_t pid, int64_t now_ms) {
  const auto [entry, first] = continued_ms_.try_emplace(pid, now_ms);
  if (first) return true;
  const bool soon = now_ms - entry->second < kSoonMs;
  entry->second = now_ms;
  return !soon;
}

}  // namespace warren
