// How is a process made to die, stop or fail at one exact moment?
//
// A named point costs one predicted-not-taken branch on a process-private flag while nothing is
// set. Setting an action is process-private too and inherited by fork; it is done before the
// threads or processes that shall meet it start.
//
// See also: fault_point_list.def (all points).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace warren {

enum class FaultPoint : uint16_t {
#define WARREN_FAULT_POINT(id, name, help) id,
#include "base/fault_point_list.def"
#undef WARREN_FAULT_POINT
};

inline constexpr size_t kFaultPointCount = 0
#define WARREN_FAULT_POINT(id, name, help) +1
#include "base/fault_point_list.def"
#undef WARREN_FAULT_POINT
    ;

std::string_view FaultPointName(FaultPoint point);

// What happens at a point: may kill or stop the process, wait for something, or return the error
// that a RETURN_IF_FAULT place hands to its caller (other places ignore it).
using FaultAction = Status (*)(FaultPoint point, void* context);

void SetFaultAction(FaultPoint point, FaultAction action, void* context = nullptr);
void ClearFaultActions();

// Is any action set in this process? Changed by the two functions above alone.
inline bool g_fault_points_on = false;

Status HitFaultPoint(FaultPoint point);

}  // namespace warren

#define FAULT_POINT(id)                                        \
  do {                                                         \
    if (__builtin_expect(::warren::g_fault_points_on, 0))      \
      (void)::warren::HitFaultPoint(::warren::FaultPoint::id); \
  } while (false)

#define RETURN_IF_FAULT(id)                                               \
  do {                                                                    \
    if (__builtin_expect(::warren::g_fault_points_on, 0))                 \
      RETURN_IF_ERROR(::warren::HitFaultPoint(::warren::FaultPoint::id)); \
  } while (false)
