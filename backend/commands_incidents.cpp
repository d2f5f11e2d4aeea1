#include "backend/commands_incidents.h"

#include "backend/arguments.h"
#include "backend/session.h"
#include "base/ascii.h"
#include "base/iso_time.h"
#include "shmem/incident.h"
#include "storage/data_directory.h"
#include "storage/incident_file.h"

namespace warren {
namespace {

constexpr int64_t kDefaultCount = 10;

constexpr size_t kFields = 0
#define WARREN_INCIDENT_TIME(id, help) +1
#define WARREN_INCIDENT_NUMBER(id, help) +1
#define WARREN_INCIDENT_TEXT(id, bytes, help) +1
#include "shmem/incident_field_list.def"
#undef WARREN_INCIDENT_TIME
#undef WARREN_INCIDENT_NUMBER
#undef WARREN_INCIDENT_TEXT
    ;

void AddNumber(Reply& reply, std::string_view name, int64_t value) {
  reply.Bulk(name);
  reply.Integer(value);
}

void AddText(Reply& reply, std::string_view name, std::string_view text) {
  reply.Bulk(name);
  reply.Bulk(text);
}

void AddWaiters(Reply& reply, const Incident& incident) {
  reply.Bulk("waiters");
  reply.Array(incident.listed_waiters());
  for (size_t i = 0; i < incident.listed_waiters(); ++i) {
    const IncidentWaiter& waiter = incident.waiters[i];
    reply.Map(5);
    AddNumber(reply, "pid", waiter.pid);
    AddNumber(reply, "slot", waiter.slot);
    AddNumber(reply, "client_id", waiter.client_id);
    AddNumber(reply, "waited_us", waiter.waited_us);
    AddText(reply, "lock", waiter.lock.Get());
  }
}

void AddIncident(Reply& reply, const NumberedIncident& numbered) {
  const Incident& incident = numbered.incident;
  reply.Map(kFields + 2);
  AddNumber(reply, "id", static_cast<int64_t>(numbered.id));
#define WARREN_INCIDENT_TIME(id, help) AddText(reply, #id, FormatUtc(incident.id));
#define WARREN_INCIDENT_NUMBER(id, help) AddNumber(reply, #id, incident.id);
#define WARREN_INCIDENT_TEXT(id, bytes, help) AddText(reply, #id, incident.id.Get());
#include "shmem/incident_field_list.def"
#undef WARREN_INCIDENT_TIME
#undef WARREN_INCIDENT_NUMBER
#undef WARREN_INCIDENT_TEXT
  AddWaiters(reply, incident);
}

// The ring first: a monitor that replaces the file meanwhile heeds that.
Status Reset(Session& session) {
  const uint64_t reset_id = Incidents::Reset();
  RETURN_IF_ERROR(AppendIncidentReset(DataDirectory::Path(), reset_id));
  session.reply().Ok();
  return {};
}

}  // namespace

Status IncidentsCommand(Session& session, Args args) {
  if (args.size() > 2) return WrongArity("incidents");
  if (args.size() == 2 && EqualsIgnoreCase(args[1], "reset")) return Reset(session);
  int64_t count = kDefaultCount;
  if (args.size() == 2) {
    ASSIGN_OR_RETURN(count, IntegerArgument(args[1]));
    if (count < 0) return MakeError(ErrorCode::kGeneric, "count is negative");
  }
  const std::vector<NumberedIncident> newest = Incidents::Newest(static_cast<size_t>(count));
  Reply& reply = session.reply();
  reply.Array(newest.size());
  for (const NumberedIncident& incident : newest) AddIncident(reply, incident);
  return {};
}

}  // namespace warren
