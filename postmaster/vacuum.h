// Who removes what nobody asks for any more?
#pragma once

namespace warren {

// Removes keys whose time has come (storage/expiry.h), frees garbage (storage/reclaim.h) and cuts
// the data file's free end off (storage/truncate.h). Works in rounds of vacuum_cost_limit with
// pauses of vacuum_cost_delay; sleeps until a key can expire when there is nothing to do. Serves
// the command VACUUM, which goes through everything at full speed. Returns the exit code.
int VacuumMain();

}  // namespace warren
