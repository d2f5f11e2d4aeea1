// How does a command have another process do something, and wait for it?
#pragma once

#include <string_view>

#include "backend/session.h"
#include "shmem/work_requests.h"

namespace warren {

// Wakes the worker; the request's number.
uint64_t RequestWork(WorkRequests& requests);

// Makes a request and waits until it is served. `what` is for the error of one that failed. Also an
// error when the session is to end meanwhile.
Status HaveWorkDone(Session& session, WorkRequests& requests, std::string_view what);

}  // namespace warren
