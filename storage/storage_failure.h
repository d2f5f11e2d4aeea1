// What happens when the kernel could not write what it was given?
//
// After a failed write or sync of the log, or a failed sync of the data file, memory and disk may
// differ in any way: the kernel may have dropped the bytes and report success the next time. So
// nothing is tried again. Changes are refused, and the postmaster starts over: the log's bytes that
// are not durable are written anew from memory, and redo makes every page again that was changed
// since the last checkpoint.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace warren {

// Say so in shared memory, for good, and wake the postmaster.
void DeclareLogFailed(int error_number);
void DeclareDataFileFailed(int error_number);

bool StorageHasFailed();
// Why changes are refused. After a Declare.
Error StorageFailure();

}  // namespace warren
