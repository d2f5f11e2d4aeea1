#include "postmaster/child_process.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>

#include "base/fault_point.h"
#include "base/log.h"
#include "base/process_title.h"
#include "conf/settings.h"
#include "lwlock/lwlock.h"
#include "shmem/fault_table.h"
#include "shmem/latch.h"
#include "shmem/segment.h"
#include "storage/mini_transaction.h"

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

// An exception is thrown between two instructions of correct code: outside of changes it damages
// nothing. What else ends here (a broken invariant of the library's) is like a failed check. With
// nobody to catch it, it comes here from where it was thrown, nothing unwound: what was held is.
[[noreturn]] void OnTerminate() {
  const bool in_change =
      HeldLockCount() > 0 || MiniTransactionAreaOf(ProcArray::SelfOwner().slot).armed.load() != 0;
  const bool thrown = std::current_exception() != nullptr;
  try {
    if (thrown) throw;
  } catch (const std::exception& exception) {
    log::Error("uncaught exception: {}", exception.what());
  } catch (...) {
    log::Error("uncaught exception of an unknown type");
  }
  if (thrown && !in_change) ProcArray::AbortDeclaredClean();
  std::abort();
}

}  // namespace

void RunChild(const ChildContext& context, FunctionRef<int()> body) {
  DieWithPostmaster(context.postmaster_pid);
  CloseDescriptors(context.postmaster_only);
  const std::string_view kind = GetProcessKind(context.kind).name;
  log::SetProcess(kind, context.slot);
  Segment::BindProcess(context.slot);
  if (GetSettings().fault_points) FaultTable::Enable();
  std::set_terminate(OnTerminate);
  FAULT_POINT(kProcessStart);
  // The handlers before the mask: a signal sent since the fork waits until here, and none of them
  // ever meets the postmaster's handlers, which would write to its event loop's pipe.
  Latch::InstallHandlers();
  ProcArray::EnterRunning();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  SetProcessTitle(kind);
  FAULT_POINT(kProcessRunning);
  const int code = body();
  FAULT_POINT(kProcessEnd);
  if (code == 0) ProcArray::EnterExited();
  FAULT_POINT(kProcessExit);
  _exit(code);
}

}  // namespace warren
