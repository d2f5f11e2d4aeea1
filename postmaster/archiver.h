// Which process copies complete log files to the archive, and what if it can't?
//
// A process of its own: an archive that is slow, full or away keeps nobody waiting. Files that are
// not copied yet stay in the data directory (storage/wal_retention.h), so that an archive that
// stays away fills the data directory's disk in the end, and changes then get NOSPACE.
#pragma once

namespace warren {

int ArchiverMain();

}  // namespace warren
