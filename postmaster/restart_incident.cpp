#include "postmaster/restart_incident.h"

#include <algorithm>

#include "base/log.h"
#include "base/ordered_store.h"
#include "postmaster/death_report.h"
#include "shmem/segment.h"
#include "storage/incident_file.h"

namespace warren {
namespace {

struct HandedOver {
  uint64_t number = 0;  // of this postmaster
  Incident incident;
};

// Of the postmaster, and by the fork of its children.
std::vector<HandedOver> g_handed_over;
uint64_t g_last_number = 0;

void HandOver(Incident incident, const std::string& reason) {
  incident.outcome.Set(kFullRestart);
  incident.reason.Set(reason);
  g_handed_over.push_back({++g_last_number, incident});
}

bool IsTakenOver(const HandedOver& handed_over) {
  return handed_over.number <= Segment::IncidentRows().taken_over.load();
}

void Record(const std::string& directory, const NumberedIncident& incident) {
  const Status written = AppendIncident(directory, incident);
  if (!written.ok()) log::Warning("{}", written.error().message);
  log::Notice("incident {}: {}", incident.id, DescribeIncident(incident.incident));
}

}  // namespace

void RestartIncidents::Begin(std::optional<SlotIndex> slot, const std::string& reason) {
  std::erase_if(g_handed_over, IsTakenOver);
  bool known = false;  // a monitor had begun to repair it
  std::vector<NumberedIncident> all_open = Incidents::AllOpen();
  std::ranges::reverse(all_open);  // the oldest first
  for (const NumberedIncident& open : all_open) {
    const bool named = slot.has_value() && open.incident.slot == *slot;
    HandOver(open.incident, named ? reason : "cut short: all processes were stopped");
    known |= named;
  }
  if (known) return;
  HandOver(slot.has_value() ? ExamineDeath(*slot, Segment::Procs()[*slot].wait_status.load())
                            : ExamineNobody(),
           reason);
}

void RestartIncidents::NoteRunning() {
  for (HandedOver& handed_over : g_handed_over) {
    Incident& incident = handed_over.incident;
    if (incident.running_us < 0) incident.running_us = SinceReapedUs(incident);
  }
}

void RestartIncidents::WriteRest(const std::string& directory) {
  for (const HandedOver& handed_over : g_handed_over) {
    if (!IsTakenOver(handed_over)) Record(directory, {0, handed_over.incident});
  }
}

void RestartIncidents::TakeOver(const std::string& directory) {
  for (const HandedOver& handed_over : g_handed_over) {
    if (IsTakenOver(handed_over)) continue;
    const uint64_t id = Incidents::Put(handed_over.incident);
    Record(directory, {id, handed_over.incident});
    // Last: a monitor that is killed before leaves it to its successor, and what is told twice
    // counts once.
    StoreAfter(Segment::IncidentRows().taken_over, handed_over.number);
  }
}

}  // namespace warren
