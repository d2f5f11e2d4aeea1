#include "base/fault_points_page.h"

#include <fmt/format.h>

#include <iterator>

#include "base/fault_point.h"

namespace warren {

std::string FaultPointsMarkdown() {
  std::string page =
      "# Fault points\n\n"
      "The moments at which `FAULT SET point action` can make a process die, wait or fail, on a "
      "server started with `fault_points yes`. Each names a step that has not begun yet. [The lab]"
      "(lab.md) shows what can be learnt with them. Made from `base/fault_point_list.def` by "
      "`./dev docs`.\n\n"
      "| action | the process that comes to the point |\n"
      "| --- | --- |\n"
      "| `kill` | gets SIGKILL: dies between two instructions, as by `kill -9` or for want of "
      "memory |\n"
      "| `segv` | gets SIGSEGV: dies as if it had written anywhere before |\n"
      "| `abort` | aborts, having declared that nothing of it is damaged |\n"
      "| `hang` | waits until the point is cleared or set anew, or the server shuts down; while it "
      "holds no lwlock, also until it is told to end |\n"
      "| `delay ms` | waits so many milliseconds |\n"
      "| `error` | meets an error, where the step is one that can fail |\n\n"
      "`AFTER n` lets the first n pass, `TIMES n` ends it after n, both counted over all "
      "processes; `PROBABILITY p` draws lots each time; `CLIENT` names the one that is meant, by "
      "its client id or process id, or all of one kind (`CLIENT \"wal writer\"`). A full restart "
      "clears all points.\n\n"
      "| point | error | moment |\n"
      "| --- | --- | --- |\n";
  auto out = std::back_inserter(page);
  for (const FaultPointInfo& point : kFaultPoints) {
    fmt::format_to(out, "| `{}` | {} | {} |\n", point.name, point.may_fail ? "yes" : "",
                   point.help);
  }
  return page;
}

}  // namespace warren
