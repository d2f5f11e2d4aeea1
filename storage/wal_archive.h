// How does a complete log file get into the archive?
//
// It is copied under a temporary name, synced and renamed, and the directory is synced: a file with
// a log file's name is there in full. No file of the archive is ever overwritten: one of the same
// name and other bytes belongs to another history (of a restored copy, or of another server), and
// each history needs an archive of its own.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace warren {

// Returns once the segment, which is complete and durable, is in the archive; false if it was there
// before. kNoSpace, kIo: it is not, and nothing is left behind but perhaps a temporary file that
// the next attempt replaces. kGeneric: the archive has another file of this name.
Result<bool> ArchiveSegment(const std::string& archive, uint64_t segment_no);

}  // namespace warren
