// Who writes dirty buffers before somebody needs their place?
#pragma once

namespace warren {

// Round after round: writes what is due, sleeps bgwriter_delay, longer and longer while there is
// nothing to do, so that an idle server uses no processor time. Returns the exit code.
int BackgroundWriterMain();

}  // namespace warren
