// Do incidents come back from their file, whatever a death or a full disk has left in it?
#include "storage/incident_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"
#include "tests/support/segment_world.h"
#include "tests/unit/temporary_directory.h"

namespace warren::test {
namespace {

NumberedIncident Death(uint64_t id) {
  NumberedIncident numbered{.id = id, .incident = {}};
  Incident& incident = numbered.incident;
  incident.time = 1'700'000'000'000'000 + static_cast<int64_t>(id);
  incident.pid = static_cast<int64_t>(id) + 1000;
  incident.client_name.Set("a \"name\"\n\xff");
  incident.outcome.Set(kRepairedInPlace);
  incident.running_us = -1;
  incident.AddLwlockWaiter({.pid = 7, .slot = 3, .client_id = 9, .waited_us = 153});
  return numbered;
}

std::string Text(const std::string& directory) {
  return *ReadWholeFile(IncidentFilePath(directory));
}

void AppendRaw(const std::string& directory, const std::string& text) {
  std::ofstream(IncidentFilePath(directory), std::ios::app) << text;
}

size_t Lines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("incidents come back from their file as they were") {
  const TemporaryDirectory directory;
  const std::string path = directory.path();
  for (uint64_t id = 1; id <= 3; ++id) REQUIRE(AppendIncident(path, Death(id)).ok());
  const SegmentWorld world;
  REQUIRE(LoadIncidents(path).ok());
  const auto newest = Incidents::Newest(10);
  REQUIRE(newest.size() == 3);
  CHECK(newest[0].id == 3);
  const Incident& incident = newest[2].incident;
  CHECK(incident.time == Death(1).incident.time);
  CHECK(incident.pid == 1001);
  CHECK(incident.client_name.Get().starts_with("a \"name\"\n"));
  CHECK(incident.running_us == -1);
  REQUIRE(incident.lwlock_waiters == 1);
  CHECK(incident.waiters[0].waited_us == 153);
  // The next one has the next number.
  CHECK(Incidents::Put(Death(0).incident) == 4);
}

TEST_CASE("a line that a death has cut short is dropped, and the next one is whole") {
  const TemporaryDirectory directory;
  const std::string path = directory.path();
  REQUIRE(AppendIncident(path, Death(1)).ok());
  AppendRaw(path, IncidentLine(Death(2)).substr(0, 100));
  REQUIRE(AppendIncident(path, Death(3)).ok());
  AppendRaw(path, IncidentLine(Death(4)).substr(0, 20));
  {
    const SegmentWorld world;
    REQUIRE(LoadIncidents(path).ok());
    const auto newest = Incidents::Newest(10);
    REQUIRE(newest.size() == 2);
    CHECK(newest[0].id == 3);
    CHECK(newest[1].id == 1);
  }
  CHECK(Lines(Text(path)) == 2);
  CHECK(Text(path).ends_with("}\n"));
}

TEST_CASE("incidents that ended in another order than they began come back by number") {
  const TemporaryDirectory directory;
  const std::string path = directory.path();
  for (const uint64_t id : {3u, 1u, 2u}) REQUIRE(AppendIncident(path, Death(id)).ok());
  const SegmentWorld world;
  REQUIRE(LoadIncidents(path).ok());
  const auto newest = Incidents::Newest(10);
  REQUIRE(newest.size() == 3);
  for (size_t i = 0; i < 3; ++i) CHECK(newest[i].id == 3 - i);
}

TEST_CASE("what is told twice counts once, and what has no number gets one") {
  const TemporaryDirectory directory;
  const std::string path = directory.path();
  REQUIRE(AppendIncident(path, Death(1)).ok());
  REQUIRE(AppendIncident(path, Death(1)).ok());
  NumberedIncident of_postmaster = Death(2);
  of_postmaster.id = 0;
  REQUIRE(AppendIncident(path, of_postmaster).ok());
  const SegmentWorld world;
  REQUIRE(LoadIncidents(path).ok());
  const auto newest = Incidents::Newest(10);
  REQUIRE(newest.size() == 2);
  CHECK(newest[0].id == 2);
  CHECK(newest[0].incident.pid == 1002);
}

TEST_CASE("a reset holds after a restart, and numbers go on") {
  const TemporaryDirectory directory;
  const std::string path = directory.path();
  for (uint64_t id = 1; id <= 3; ++id) REQUIRE(AppendIncident(path, Death(id)).ok());
  REQUIRE(AppendIncidentReset(path, 3).ok());
  for (int life = 0; life < 3; ++life) {
    const SegmentWorld world;
    REQUIRE(LoadIncidents(path).ok());
    CHECK(Incidents::Newest(10).empty());
    CHECK(Segment::IncidentRows().last_id.load() == 3);
  }
}

TEST_CASE("the file does not grow beyond its limit") {
  const TemporaryDirectory directory;
  const std::string path = directory.path();
  const SegmentWorld world;
  uint64_t largest = 0;
  for (uint64_t id = 1; id < 4000; ++id) {
    NumberedIncident death = Death(0);
    death.incident.time += static_cast<int64_t>(id);
    death.id = Incidents::Put(death.incident);
    REQUIRE(AppendIncident(path, death).ok());
    REQUIRE(KeepIncidentFileSmall(path).ok());
    largest = std::max<uint64_t>(largest, std::filesystem::file_size(IncidentFilePath(path)));
  }
  CHECK(largest > kMaxIncidentFileBytes / 2);
  CHECK(largest < kMaxIncidentFileBytes + 10'000);
  CHECK(Text(path).find("\"id\":3999,") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(IncidentFilePath(path) + ".new"));
}

}  // namespace warren::test
