// How is a process made to die, stop or fail at one exact moment?
//
// A named point costs one predicted-not-taken branch on a process-private flag while nothing can be
// set. Two ways lead to it: actions of the process itself, for tests (inherited by fork; set before
// the threads or processes that shall meet them start), and the server's, which FAULT SET changes
// for all processes (shmem/fault_table.h).
//
// See also: fault_point_list.def (all points).
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"

namespace warren {

enum class FaultPoint : uint16_t {
#define WARREN_FAULT_POINT(id, name, help) id,
#define WARREN_FAILING_POINT(id, name, help) id,
#include "base/fault_point_list.def"
#undef WARREN_FAILING_POINT
#undef WARREN_FAULT_POINT
};

struct FaultPointInfo {
  std::string_view name;
  bool may_fail;  // FAULT SET may have it return an error
  std::string_view help;
};

inline constexpr FaultPointInfo kFaultPoints[] = {
#define WARREN_FAULT_POINT(id, name, help) {name, false, help},
#define WARREN_FAILING_POINT(id, name, help) {name, true, help},
#include "base/fault_point_list.def"
#undef WARREN_FAILING_POINT
#undef WARREN_FAULT_POINT
};
inline constexpr size_t kFaultPointCount = std::size(kFaultPoints);

constexpr const FaultPointInfo& GetFaultPoint(FaultPoint point) {
  return kFaultPoints[static_cast<size_t>(point)];
}
constexpr std::string_view FaultPointName(FaultPoint point) { return GetFaultPoint(point).name; }

// By its name, any case.
std::optional<FaultPoint> FindFaultPoint(std::string_view name);

// What happens at a point: may kill or stop the process, wait for something, or return the error
// that a RETURN_IF_FAULT place hands to its caller (other places ignore it).
using FaultAction = Status (*)(FaultPoint point, void* context);

void SetFaultAction(FaultPoint point, FaultAction action, void* context = nullptr);
void ClearFaultActions();

// What is done at every point that has no action of this process's own; null for nothing.
using SharedFaultAction = Status (*)(FaultPoint point);
void SetSharedFaultAction(SharedFaultAction action);

// Can anything be set in this process? Changed by the functions above alone.
inline bool g_fault_points_on = false;

Status HitFaultPoint(FaultPoint point);

}  // namespace warren

#define FAULT_POINT(id)                                                              \
  do {                                                                               \
    static_assert(!::warren::GetFaultPoint(::warren::FaultPoint::id).may_fail,       \
                  #id " is listed as a failing point, which needs RETURN_IF_FAULT"); \
    if (__builtin_expect(::warren::g_fault_points_on, 0))                            \
      (void)::warren::HitFaultPoint(::warren::FaultPoint::id);                       \
  } while (false)

#define RETURN_IF_FAULT(id)                                               \
  do {                                                                    \
    if (__builtin_expect(::warren::g_fault_points_on, 0))                 \
      RETURN_IF_ERROR(::warren::HitFaultPoint(::warren::FaultPoint::id)); \
  } while (false)
