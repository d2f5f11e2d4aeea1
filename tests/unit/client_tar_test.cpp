// Tar archives: what is written is read back, by us and by others.
#include "client/tar.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/unique_fd.h"
#include "client/backup_input.h"
#include "client/backup_output.h"
#include "tests/unit/temporary_directory.h"

namespace warren::test {
namespace {

void MustSucceed(const Status& status) {
  REQUIRE_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message));
}

void AddFile(BackupOutput& output, const std::string& path, const std::string& content) {
  MustSucceed(output.BeginFile(path, content.size()));
  MustSucceed(output.Write(std::as_bytes(std::span(content))));
  MustSucceed(output.EndFile());
}

// What lies in `path`: "name=content name=content ...", or the error.
std::string ReadAll(const std::string& path) {
  auto input = OpenBackupInput(path);
  if (!input.ok()) return input.error().message;
  std::string all;
  for (;;) {
    const auto entry = (*input)->Next();
    if (!entry.ok()) return entry.error().message;
    if (!entry->has_value()) return all;
    std::string content((*entry)->bytes, '\0');
    const auto read = (*input)->Read(std::as_writable_bytes(std::span(content)));
    if (!read.ok()) return read.error().message;
    all += (*entry)->path + "=" + content + " ";
  }
}

std::string WriteArchive(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
  REQUIRE(fd.valid());
  const auto output = OpenTarOutput(fd.get(), path);
  AddFile(*output, "base/main", std::string(512, 'm'));
  AddFile(*output, "wal/1", "log");
  AddFile(*output, "empty", "");
  MustSucceed(output->Finish());
  return "base/main=" + std::string(512, 'm') + " wal/1=log empty= ";
}

}  // namespace

TEST_CASE("a tar archive is read back as it was written") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.tar";
  CHECK(ReadAll(path).find("No such file") != std::string::npos);
  const std::string expected = WriteArchive(path);
  CHECK(ReadAll(path) == expected);
}

TEST_CASE("tar archives of other programs are read, their directories passed over") {
  const TemporaryDirectory directory;
  const std::string made = directory.path() + "/made";
  const auto output = OpenDirectoryOutput(made);
  REQUIRE(output.ok());
  AddFile(**output, "base/main", "pages");
  AddFile(**output, "backup.json", "{}");
  MustSucceed((*output)->Finish());
  CHECK(ReadAll(made) == "backup.json={} base/main=pages ");
  for (const std::string format : {"ustar", "gnu", "pax"}) {
    CAPTURE(format);
    const std::string path = directory.path() + "/" + format + ".tar";
    REQUIRE(
        std::system(("tar --sort=name --format=" + format + " -C " + made + " -cf " + path + " .")
                        .c_str()) == 0);
    CHECK(ReadAll(path) == "backup.json={} base/main=pages ");
  }
}

TEST_CASE("a file of more than 8 GiB keeps its size in the header") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.tar";
  const uint64_t bytes = (uint64_t{20} << 30) + 5;
  std::ofstream(path, std::ios::binary) << TarHeader("base/main", bytes, 1);
  const UniqueFd fd(open(path.c_str(), O_RDONLY));
  TarReader reader(fd.get(), "archive");
  const auto entry = reader.Next();
  REQUIRE(entry.ok());
  CHECK((*entry)->bytes == bytes);
}

TEST_CASE("a tar archive that is damaged or cut short is refused with the offset") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.tar";
  WriteArchive(path);
  SUBCASE("cut short") {
    REQUIRE(truncate(path.c_str(), 700) == 0);
    CHECK(ReadAll(path).find("offset 700: it ends here") != std::string::npos);
  }
  SUBCASE("damaged") {
    const UniqueFd fd(open(path.c_str(), O_WRONLY));
    REQUIRE(pwrite(fd.get(), "x", 1, 1024 + 3) == 1);
    CHECK(ReadAll(path).find("offset 1024: not the header") != std::string::npos);
  }
}

TEST_CASE("a directory that has something in it takes no backup") {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() + "/notes") << "mine";
  const auto output = OpenDirectoryOutput(directory.path());
  REQUIRE_FALSE(output.ok());
  CHECK(output.error().message.find("not empty") != std::string::npos);
}

}  // namespace warren::test
