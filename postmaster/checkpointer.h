// Who sees to it that redo never has far to go, and closes the store?
#pragma once

namespace warren {

// Makes a checkpoint when one is asked for (at full speed), checkpoint_timeout after the last, or
// when the log since the last approaches max_wal_size (these two spread over
// checkpoint_completion_target of the time or log that is left until the next). Asked to end
// (SIGTERM) when a shutdown has ended all sessions, it makes a last one and marks the data
// directory as clean; exit code 0 says that this was done.
int CheckpointerMain();

}  // namespace warren
