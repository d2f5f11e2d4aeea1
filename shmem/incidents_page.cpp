#include "shmem/incidents_page.h"

#include <fmt/format.h>

#include <iterator>

#include "shmem/incident.h"

namespace warren {
namespace {

struct FieldRow {
  std::string_view name;
  std::string_view help;
};
constexpr FieldRow kFields[] = {
#define WARREN_INCIDENT_TIME(id, help) {#id, help},
#define WARREN_INCIDENT_NUMBER(id, help) {#id, help},
#define WARREN_INCIDENT_TEXT(id, bytes, help) {#id, help},
#include "shmem/incident_field_list.def"
#undef WARREN_INCIDENT_TIME
#undef WARREN_INCIDENT_NUMBER
#undef WARREN_INCIDENT_TEXT
};

}  // namespace

std::string IncidentsMarkdown() {
  std::string page = fmt::format(
      "# Incidents\n\n"
      "What is told about each process that died abnormally, by `INCIDENTS [count]` (newest first, "
      "the last {} are kept in memory), by one line in the log, and by one line of JSON in the "
      "file `incidents` of the data directory, which outlives the server. A death that stopped all "
      "processes is told like any other, and so is a failure of the disk that did. Times are in "
      "microseconds; -1 stands for what is not known or did not come to that. Made from "
      "`shmem/incident_field_list.def` by `./dev docs`.\n\n"
      "| field | what |\n"
      "| --- | --- |\n"
      "| `id` | its number; ascends, also from one life of the server to the next |\n",
      IncidentRing::kRows);
  auto out = std::back_inserter(page);
  for (const FieldRow& field : kFields) {
    fmt::format_to(out, "| `{}` | {} |\n", field.name, field.help);
  }
  fmt::format_to(out,
                 "| `waiters` | the first {} of those who waited: `pid`, `slot`, `client_id`, how "
                 "long (`waited_us`, from the begin of the wait), for which `lock` |\n",
                 kListedWaiters);
  return page;
}

}  // namespace warren
