#include "base/fault_point.h"

#include <algorithm>
#include <array>

namespace warren {
namespace {

constexpr std::string_view kNames[] = {
#define WARREN_FAULT_POINT(id, name, help) name,
#include "base/fault_point_list.def"
#undef WARREN_FAULT_POINT
};

struct Set {
  FaultAction action = nullptr;
  void* context = nullptr;
};
std::array<Set, kFaultPointCount> g_actions;

}  // namespace

std::string_view FaultPointName(FaultPoint point) { return kNames[static_cast<size_t>(point)]; }

void SetFaultAction(FaultPoint point, FaultAction action, void* context) {
  g_actions[static_cast<size_t>(point)] = {action, context};
  g_fault_points_on = std::any_of(g_actions.begin(), g_actions.end(),
                                  [](const Set& set) { return set.action != nullptr; });
}

void ClearFaultActions() {
  g_actions = {};
  g_fault_points_on = false;
}

Status HitFaultPoint(FaultPoint point) {
  const Set& set = g_actions[static_cast<size_t>(point)];
  return set.action == nullptr ? Status() : set.action(point, set.context);
}

}  // namespace warren
