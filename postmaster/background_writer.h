// Who writes dirty buffers before somebody needs their place, and who closes the store?
#pragma once

namespace warren {

// Round after round: writes what is due, sleeps bgwriter_delay, longer and longer while there is
// nothing to do, so that an idle server uses no processor time. Asked to end (SIGTERM) when a
// shutdown has ended all sessions, it writes out everything and marks the data directory as clean.
// Returns the exit code.
int BackgroundWriterMain();

// 0 means that the store is closed, on disk and marked as clean.
inline constexpr int kStoreNotClosed = 1;  // it was tried, and the log says why it failed
inline constexpr int kEndedEarly = 3;      // somebody else's SIGTERM while there was no shutdown

}  // namespace warren
