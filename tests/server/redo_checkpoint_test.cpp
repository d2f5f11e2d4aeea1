// Does a second crash make the same redo again?
#include <signal.h>

#include <cstdint>
#include <string>
#include <vector>

#include "doctest/doctest.h"
#include "tests/server/server_fixture.h"

namespace warren::test {
namespace {

// Nothing but a redo or a request leads to a checkpoint.
std::vector<std::string> Settings() {
  return {"--checkpoint_timeout", "1d", "--max_wal_size", "1gb", "--fault_points", "yes"};
}

uint64_t InfoNumber(Server& server, const std::string& name) {
  const std::string text = server.Command("INFO", "persistence").text;
  const size_t at = text.find("\r\n" + name + ":");
  if (at == std::string::npos) return 0;
  return std::stoull(text.substr(at + name.size() + 3), nullptr, 0);
}

void WriteMegabytes(Server& server, int count) {
  const std::string value(size_t{1} << 20, 'v');
  for (int i = 0; i < count; ++i) {
    REQUIRE(server.Command("SET", "key" + std::to_string(i), value).ok());
  }
}

void CheckAfterRedo(Server& server, uint64_t redo_began) {
  INFO(server.log());
  CHECK(WaitUntil([&] { return InfoNumber(server, "checkpoints_completed") == 1; }));
  CHECK(InfoNumber(server, "checkpoints_after_redo") == 1);
  CHECK(InfoNumber(server, "wal_redo_lsn") > redo_began + (4 << 20));
  CHECK(server.Command("STRLEN", "key3").integer == 1 << 20);
}

void Segfault(Server& server) {
  Connection victim = server.Connect();
  const std::string id = std::to_string(victim("CLIENT", "ID").integer);
  REQUIRE(server.Command("FAULT", "SET", "command_run", "segv", "CLIENT", id).ok());
  CHECK(victim("SET", "key", "value").closed());
}

}  // namespace

TEST_CASE(
    "a start that had to redo much is followed by a checkpoint, which the next one begins at") {
  Server server(Settings());
  WriteMegabytes(server, 4);
  const uint64_t redo_began = InfoNumber(server, "wal_redo_lsn");
  server.Kill();
  server.Start();
  CheckAfterRedo(server, redo_began);
  const uint64_t redo_point = InfoNumber(server, "wal_redo_lsn");
  server.Kill();
  server.Start();
  CHECK(InfoNumber(server, "wal_redo_lsn") == redo_point);
  CHECK(server.Command("STRLEN", "key3").integer == 1 << 20);
}

TEST_CASE("a crash restart that had to redo much is followed by a checkpoint") {
  Server server(Settings());
  WriteMegabytes(server, 4);
  const uint64_t redo_began = InfoNumber(server, "wal_redo_lsn");
  Segfault(server);
  REQUIRE(server.WaitReady());
  CheckAfterRedo(server, redo_began);
}

TEST_CASE("a start that had to redo little leaves it at that, until a further one makes it much") {
  Server server(Settings());
  WriteMegabytes(server, 4);
  REQUIRE(server.Command("CHECKPOINT").ok());
  REQUIRE(server.Command("SET", "key", "value").ok());
  server.Kill();
  server.Start();
  const uint64_t redo_began = InfoNumber(server, "wal_redo_lsn");
  WriteMegabytes(server, 4);
  CHECK(InfoNumber(server, "checkpoints_after_redo") == 0);
  server.Kill();
  server.Start();
  CheckAfterRedo(server, redo_began);
}

}  // namespace warren::test
