// Did somebody ask this program to stop?
//
// SIGINT, SIGTERM and SIGHUP are noted, so that what is half done can be taken back.
#pragma once

#include "base/result.h"

namespace warren {

// From here on a signal also ends the system call that is waiting, with EINTR.
void CatchInterrupts();

// kShutdown once a signal has come. To be asked now and then in whatever takes long.
Status CheckInterrupted();

}  // namespace warren
