#include "postmaster/child_process.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>

#include "base/log.h"
#include "base/process_title.h"
#include "shmem/latch.h"
#include "shmem/segment.h"

namespace warren {
namespace {

// No child outlives the postmaster: without it nobody would notice a death or free what it held,
// and the next postmaster must have the directory for itself. SIGKILL, because it can't be blocked,
// handled late or met by a stopped process, and because an orphan has nothing left to do in order:
// the data directory is recovered from what is on disk, whatever the moment.
void DieWithPostmaster(pid_t postmaster_pid) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != postmaster_pid) _exit(2);  // it died before the call above
}

}  // namespace

void RunChild(const ChildContext& context, FunctionRef<int()> body) {
  DieWithPostmaster(context.postmaster_pid);
  CloseDescriptors(context.postmaster_only);
  const std::string_view kind = GetProcessKind(context.kind).name;
  log::SetProcess(kind, context.slot);
  Segment::BindProcess(context.slot);
  // The handlers before the mask: a signal sent since the fork waits until here, and none of them
  // ever meets the postmaster's handlers, which would write to its event loop's pipe.
  Latch::InstallHandlers();
  ProcArray::EnterRunning();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  SetProcessTitle(kind);
  const int code = body();
  if (code == 0) ProcArray::EnterExited();
  _exit(code);
}

}  // namespace warren
