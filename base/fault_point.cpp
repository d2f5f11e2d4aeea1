#include "base/fault_point.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"

namespace warren {
namespace {

constexpr bool NamesAreUnique() {
  for (size_t i = 0; i < kFaultPointCount; ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (kFaultPoints[i].name == kFaultPoints[j].name) return false;
    }
  }
  return true;
}
static_assert(NamesAreUnique(), "two fault points have the same name");

struct Set {
  FaultAction action = nullptr;
  void* context = nullptr;
};
std::array<Set, kFaultPointCount> g_actions;
SharedFaultAction g_shared_action = nullptr;

void RenewFlag() {
  g_fault_points_on = g_shared_action != nullptr ||
                      std::any_of(g_actions.begin(), g_actions.end(),
                                  [](const Set& set) { return set.action != nullptr; });
}

}  // namespace

std::optional<FaultPoint> FindFaultPoint(std::string_view name) {
  for (size_t i = 0; i < kFaultPointCount; ++i) {
    if (EqualsIgnoreCase(kFaultPoints[i].name, name)) return static_cast<FaultPoint>(i);
  }
  return std::nullopt;
}

void SetFaultAction(FaultPoint point, FaultAction action, void* context) {
  g_actions[static_cast<size_t>(point)] = {action, context};
  RenewFlag();
}

void ClearFaultActions() {
  g_actions = {};
  RenewFlag();
}

void SetSharedFaultAction(SharedFaultAction action) {
  g_shared_action = action;
  RenewFlag();
}

Status HitFaultPoint(FaultPoint point) {
  const Set& set = g_actions[static_cast<size_t>(point)];
  if (set.action != nullptr) return set.action(point, set.context);
  return g_shared_action == nullptr ? Status() : g_shared_action(point);
}

}  // namespace warren
