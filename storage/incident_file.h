// How do incidents outlive the server?
//
// The file `incidents` in the data directory: one line of JSON each, appended by one write(2), and
// one for each INCIDENTS RESET. A line that a death has cut short is dropped by the next start,
// which says so; what is appended behind one begins on a line of its own. A line may stand there
// twice, if a process monitor was killed between writing it and saying so: it counts once.
//
// When the file has grown beyond kMaxIncidentFileBytes it is replaced by what the ring holds. It is
// never synced: a power failure may cost the last lines.
//
// Which process: the startup process reads, the process monitor appends and replaces, INCIDENTS
// RESET appends, and so does the postmaster as the last thing of a server that ends by a crash.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "shmem/incident.h"

namespace warren {

inline constexpr uint64_t kMaxIncidentFileBytes = 2u << 20;

// Of the data directory.
std::string IncidentFilePath(const std::string& directory);

// One line, without its end.
std::string IncidentLine(const NumberedIncident& incident);

// `id` 0: the next start gives it one.
Status AppendIncident(const std::string& directory, const NumberedIncident& incident);
Status AppendIncidentReset(const std::string& directory, uint64_t reset_id);

// Fills the ring, which is empty; replaces the file if there is much in it that is no longer
// wanted.
Status LoadIncidents(const std::string& directory);

// Replaces the file if it has grown too large.
Status KeepIncidentFileSmall(const std::string& directory);

}  // namespace warren
