// How is the record of a death kept that stops all processes?
//
// The postmaster takes no lock and fills no ring, and the segment is made as new. So it keeps the
// incident in private memory, notes when the server runs again, and the next process monitor, which
// has that memory by its fork, takes it over: into ring and file, once (IncidentRing::taken_over).
// If the server ends instead, the postmaster appends it to the file as its last act.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "shmem/incident.h"

namespace warren {

class RestartIncidents {
 public:
  // -- By the postmaster. All processes are about to be stopped, because of the death of `slot`'s
  // process (nothing: of no process's). Those whose repair is cut short by that are noted, too.
  static void Begin(std::optional<SlotIndex> slot, const std::string& reason);
  // The server runs again.
  static void NoteRunning();
  // The server ends.
  static void WriteRest(const std::string& directory);

  // -- By the process monitor, at its start.
  static void TakeOver(const std::string& directory);
};

}  // namespace warren
