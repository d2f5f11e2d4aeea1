#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/unique_fd.h"
#include "tests/unit/temporary_directory.h"

#include <doctest/doctest.h>

using namespace warren;

TEST_CASE("a file written atomically reads back and leaves no temporary file") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/a";
  const std::string content(100'000, 'x');
  REQUIRE(WriteFileAtomically(path, content).ok());
  REQUIRE(WriteFileAtomically(path, content + "y").ok());
  CHECK(*ReadWholeFile(path) == content + "y");
  CHECK(std::distance(std::filesystem::directory_iterator(directory.path()), {}) == 1);
}

TEST_CASE("replacing a file keeps its permissions") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/a";
  REQUIRE(WriteFileAtomically(path, "1", 0600).ok());
  REQUIRE(WriteFileAtomically(path, "2", 0644).ok());
  struct stat info;
  REQUIRE(stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("a failed replacement leaves the old file and names file and reason") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/none/a";
  const Status status = WriteFileAtomically(path, "1");
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == ErrorCode::kIo);
  CHECK(status.error().message.find(path) != std::string::npos);
  CHECK(status.error().message.find("cannot create: No such file or directory") !=
        std::string::npos);
}

TEST_CASE("a file that is not there cannot be read, and the error says so") {
  const auto text = ReadWholeFile("/nonexistent/file");
  REQUIRE_FALSE(text.ok());
  CHECK(text.error().message ==
        "file \"/nonexistent/file\": cannot open: No such file or directory");
}

TEST_CASE("reading past the end names the offset and what is missing") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/a";
  REQUIRE(WriteFileAtomically(path, "0123456789").ok());
  const UniqueFd fd(open(path.c_str(), O_RDONLY));
  std::array<std::byte, 8> bytes;
  REQUIRE(PreadFully(fd.get(), bytes, 2, "file \"a\"").ok());
  CHECK(bytes[0] == std::byte{'2'});
  const Status status = PreadFully(fd.get(), bytes, 6, "file \"a\"");
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == ErrorCode::kCorrupt);
  CHECK(status.error().message == "file \"a\" offset 10: file ends here, 4 bytes missing");
}

TEST_CASE("a write beyond the file-size limit is kNoSpace") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/a";
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    const Status status = WriteFileAtomically(path, std::string(5000, 'x'));
    const bool clean = std::filesystem::is_empty(directory.path());
    _exit(!status.ok() && status.error().code == ErrorCode::kNoSpace && clean ? 0 : 1);
  }
  int wait_status = 0;
  REQUIRE(waitpid(child, &wait_status, 0) == child);
  CHECK(wait_status == 0);
}

TEST_CASE("a descriptor is closed by its last owner and only once") {
  UniqueFd first(open("/dev/null", O_RDONLY));
  const int number = first.get();
  UniqueFd second(std::move(first));
  CHECK_FALSE(first.valid());
  CHECK(second.get() == number);
  second.Reset();
  CHECK(fcntl(number, F_GETFD) == -1);
  CHECK(errno == EBADF);
}
