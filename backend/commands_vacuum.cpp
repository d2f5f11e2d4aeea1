#include "backend/commands_vacuum.h"

#include "backend/session.h"
#include "backend/work_request.h"
#include "shmem/segment.h"

namespace warren {

Status VacuumCommand(Session& session, Args) {
  RETURN_IF_ERROR(HaveWorkDone(session, Segment::Vacuum().requests, "vacuum"));
  session.reply().Ok();
  return {};
}

}  // namespace warren
