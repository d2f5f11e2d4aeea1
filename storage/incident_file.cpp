#include "storage/incident_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/file.h"
#include "base/iso_time.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "shmem/segment.h"

namespace warren {
namespace {

using Json = nlohmann::ordered_json;

std::string Named(const std::string& path) { return fmt::format("incidents \"{}\"", path); }

// -- Lines.

Json ToJson(const IncidentWaiter& waiter) {
  return {{"pid", waiter.pid},
          {"slot", waiter.slot},
          {"client_id", waiter.client_id},
          {"waited_us", waiter.waited_us},
          {"lock", std::string(waiter.lock.Get())}};
}

Json ToJson(const NumberedIncident& numbered) {
  const Incident& incident = numbered.incident;
  Json json{{"id", numbered.id}};
#define WARREN_INCIDENT_TIME(id, help) json[#id] = FormatUtc(incident.id);
#define WARREN_INCIDENT_NUMBER(id, help) json[#id] = incident.id;
#define WARREN_INCIDENT_TEXT(id, bytes, help) json[#id] = std::string(incident.id.Get());
#include "shmem/incident_field_list.def"
#undef WARREN_INCIDENT_TIME
#undef WARREN_INCIDENT_NUMBER
#undef WARREN_INCIDENT_TEXT
  Json& waiters = json["waiters"] = Json::array();
  for (size_t i = 0; i < incident.listed_waiters(); ++i) {
    waiters.push_back(ToJson(incident.waiters[i]));
  }
  return json;
}

int64_t TimeFrom(const Json& json, const char* name) {
  const Result<int64_t> time = ParseTime(json.value(name, ""));
  return time.ok() ? *time : 0;
}

// Throws Json's exceptions.
NumberedIncident FromJson(const Json& json) {
  NumberedIncident numbered{.id = json.at("id").get<uint64_t>(), .incident = {}};
  Incident& incident = numbered.incident;
#define WARREN_INCIDENT_TIME(id, help) incident.id = TimeFrom(json, #id);
#define WARREN_INCIDENT_NUMBER(id, help) incident.id = json.value(#id, int64_t{0});
#define WARREN_INCIDENT_TEXT(id, bytes, help) incident.id.Set(json.value(#id, ""));
#include "shmem/incident_field_list.def"
#undef WARREN_INCIDENT_TIME
#undef WARREN_INCIDENT_NUMBER
#undef WARREN_INCIDENT_TEXT
  size_t i = 0;
  for (const Json& from : json.value("waiters", Json::array())) {
    if (i == kListedWaiters) break;
    IncidentWaiter& waiter = incident.waiters[i++];
    waiter.pid = from.value("pid", int64_t{0});
    waiter.slot = from.value("slot", int64_t{0});
    waiter.client_id = from.value("client_id", int64_t{0});
    waiter.waited_us = from.value("waited_us", int64_t{0});
    waiter.lock.Set(from.value("lock", ""));
  }
  return numbered;
}

// -- What a file says.

struct FileContent {
  std::vector<NumberedIncident> incidents;  // those that are not reset, by id
  size_t bad_lines = 0;
  size_t dropped = 0;  // lines that are not needed: told twice, or reset
  uint64_t last_id = 0;
  uint64_t reset_id = 0;
};

bool IsSameDeath(const Incident& a, const Incident& b) {
  return a.time == b.time && a.pid == b.pid && a.generation == b.generation;
}

class FileReader {
 public:
  void Line(std::string_view line) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    try {
      if (json.is_object() && json.contains("reset_id")) {
        content_.reset_id = std::max(content_.reset_id, json.at("reset_id").get<uint64_t>());
      } else {
        Take(FromJson(json));
      }
    } catch (const Json::exception&) {
      ++content_.bad_lines;
    }
  }

  FileContent End() && {
    const size_t before = content_.incidents.size();
    std::erase_if(content_.incidents, [this](const NumberedIncident& incident) {
      return incident.id <= content_.reset_id;
    });
    content_.dropped += before - content_.incidents.size();
    content_.last_id = std::max(content_.last_id, content_.reset_id);
    std::ranges::sort(content_.incidents, {}, &NumberedIncident::id);
    return std::move(content_);
  }

 private:
  void Take(NumberedIncident incident) {
    const auto is_told = [&](const NumberedIncident& other) {
      return IsSameDeath(other.incident, incident.incident);
    };
    if (std::ranges::any_of(content_.incidents, is_told)) {
      ++content_.dropped;
      return;
    }
    // Not in the order of their numbers: those of several dead ones are written as they end.
    if (incident.id == 0) incident.id = std::max(content_.last_id, content_.reset_id) + 1;
    content_.last_id = std::max(content_.last_id, incident.id);
    content_.incidents.push_back(std::move(incident));
  }

  FileContent content_;
};

FileContent ReadLines(std::string_view text) {
  FileReader reader;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (!line.empty()) reader.Line(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return std::move(reader).End();
}

// -- Writing.

Status WriteAll(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return SystemError(errno, Named(path), "cannot write");
    text.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

bool EndsInTheMiddle(int fd) {
  struct stat status;
  char last = '\n';
  if (fstat(fd, &status) != 0 || status.st_size == 0) return false;
  return pread(fd, &last, 1, status.st_size - 1) == 1 && last != '\n';
}

Status AppendLine(const std::string& directory, std::string line) {
  const std::string path = IncidentFilePath(directory);
  const UniqueFd fd(open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return SystemError(errno, Named(path), "cannot open");
  // What somebody was killed in stays a line of its own.
  if (EndsInTheMiddle(fd.get())) line.insert(line.begin(), '\n');
  line.push_back('\n');
  return WriteAll(fd.get(), line, path);
}

std::string ResetLine(uint64_t reset_id) { return Json{{"reset_id", reset_id}}.dump(); }

// By what the ring holds. The file is whole at every moment.
Status ReplaceFile(const std::string& directory) {
  const std::string path = IncidentFilePath(directory);
  const std::string temporary = path + ".new";
  const uint64_t reset_id = Segment::IncidentRows().reset_id.load();
  std::string text;
  if (reset_id != 0) text = ResetLine(reset_id) + '\n';
  std::vector<NumberedIncident> newest = Incidents::Newest(IncidentRing::kRows);
  for (auto incident = newest.rbegin(); incident != newest.rend(); ++incident) {
    const bool open = incident->incident.outcome.Get() == kUnderRepair;
    if (!open) text += IncidentLine(*incident) + '\n';
  }
  UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return SystemError(errno, Named(temporary), "cannot open");
  RETURN_IF_ERROR(WriteAll(fd.get(), text, temporary));
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    return SystemError(errno, Named(temporary), "cannot rename");
  }
  // One that came meanwhile may have told the former file.
  const uint64_t now = Segment::IncidentRows().reset_id.load();
  return now == reset_id ? Status() : AppendLine(directory, ResetLine(now));
}

}  // namespace

std::string IncidentFilePath(const std::string& directory) { return directory + "/incidents"; }

std::string IncidentLine(const NumberedIncident& incident) {
  // Bytes that are no UTF-8 are replaced: a client may call itself anything.
  return ToJson(incident).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Status AppendIncident(const std::string& directory, const NumberedIncident& incident) {
  return AppendLine(directory, IncidentLine(incident));
}

Status AppendIncidentReset(const std::string& directory, uint64_t reset_id) {
  return AppendLine(directory, ResetLine(reset_id));
}

Status LoadIncidents(const std::string& directory) {
  const std::string path = IncidentFilePath(directory);
  unlink((path + ".new").c_str());  // a replacement that a death has ended
  if (access(path.c_str(), F_OK) != 0) return {};
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
  const FileContent content = ReadLines(text);
  if (content.bad_lines > 0) {
    log::Notice("{}: {} lines that are not whole were dropped", Named(path), content.bad_lines);
  }
  const size_t count = content.incidents.size();
  const size_t skip = count > IncidentRing::kRows ? count - IncidentRing::kRows : 0;
  for (size_t i = skip; i < count; ++i) {
    Incidents::Put(content.incidents[i].incident, content.incidents[i].id);
  }
  Segment::IncidentRows().last_id.store(content.last_id);
  Segment::IncidentRows().reset_id.store(content.reset_id);
  const bool much = content.bad_lines + content.dropped > 0 || text.size() > kMaxIncidentFileBytes;
  return much ? ReplaceFile(directory) : Status();
}

Status KeepIncidentFileSmall(const std::string& directory) {
  struct stat status;
  if (stat(IncidentFilePath(directory).c_str(), &status) != 0) return {};
  if (static_cast<uint64_t>(status.st_size) <= kMaxIncidentFileBytes) return {};
  return ReplaceFile(directory);
}

}  // namespace warren
