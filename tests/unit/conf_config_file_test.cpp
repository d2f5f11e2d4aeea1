#include <fstream>
#include <string>
#include <vector>

#include "conf/config_file.h"
#include "tests/unit/temporary_directory.h"

#include <doctest/doctest.h>

using namespace warren;

namespace {

std::string ErrorOf(std::string_view text) {
  LoadedSettings loaded;
  const Status status = LoadConfigText(text, "warren.conf", loaded);
  return status.ok() ? "" : status.error().message;
}

struct Files {
  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = directory.path() + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  TemporaryDirectory directory;
};

}  // namespace

TEST_CASE("a file sets what its lines name, and each setting knows its line") {
  LoadedSettings loaded;
  REQUIRE(LoadConfigText("# port 1\n\n  PORT 7000  \r\nbind 10.0.0.1 -::1\nrequirepass 'a b'\n"
                         "shared-buffers 1GB\nloglevel warning",
                         "warren.conf", loaded)
              .ok());
  CHECK(loaded.settings.port == 7000);
  CHECK(loaded.settings.bind == std::vector<std::string>{"10.0.0.1", "-::1"});
  CHECK(loaded.settings.requirepass == "a b");
  CHECK(loaded.settings.shared_buffers_bytes == 1u << 30);
  CHECK(loaded.settings.log_level == log::Level::kWarning);
  CHECK(loaded.sources.at(FindSetting("port")) == "warren.conf:3");
  CHECK(loaded.sources.at(FindSetting("log_level")) == "warren.conf:7");
  CHECK_FALSE(loaded.sources.contains(FindSetting("databases")));
}

TEST_CASE("of several lines for one setting the last counts") {
  LoadedSettings loaded;
  REQUIRE(LoadConfigText("port 1\nport 2\n", "f", loaded).ok());
  CHECK(loaded.settings.port == 2);
  CHECK(loaded.sources.at(FindSetting("port")) == "f:2");
}

TEST_CASE("an error names file, line, setting, value and what is allowed") {
  CHECK(ErrorOf("port 1\n\nshared_buffers 12xb\n") ==
        "warren.conf:3: shared_buffers: \"12xb\" is not a size; allowed 1mb to 1tb");
  CHECK(ErrorOf("maxclients 0") ==
        "warren.conf:1: maxclients: \"0\" is out of range; allowed 1 to 10000");
  CHECK(ErrorOf("no_such 1") == "warren.conf:1: unknown setting \"no_such\"");
  CHECK(ErrorOf("port") == "warren.conf:1: port: value missing");
  CHECK(ErrorOf("port 1 2") == "warren.conf:1: port: one value expected, 2 given");
  CHECK(ErrorOf("requirepass \"abc") == "warren.conf:1: unbalanced quotes");
  CHECK(ErrorOf("include") == "warren.conf:1: include: one file expected, 0 given");
}

TEST_CASE("the command line overrides the file, and its errors say where they are") {
  LoadedSettings loaded;
  REQUIRE(LoadConfigText("port 1\nmaxclients 5\n", "f", loaded).ok());
  REQUIRE(LoadCommandLine(std::vector<NameValue>{{"port", "2"}, {"bind", "a b"}}, loaded).ok());
  CHECK(loaded.settings.port == 2);
  CHECK(loaded.settings.max_connections == 5);
  CHECK(loaded.settings.bind == std::vector<std::string>{"a", "b"});
  CHECK(loaded.sources.at(FindSetting("port")) == "command line");

  const auto error = [&](std::string name, std::string value) {
    return LoadCommandLine(std::vector<NameValue>{{std::move(name), std::move(value)}}, loaded)
        .error()
        .message;
  };
  CHECK(error("port", "x") == "command line: port: \"x\" is not a number; allowed 0 to 65535");
  CHECK(error("foo", "x") == "command line: unknown setting \"foo\"");
}

TEST_CASE("an included file is read in its line's place, relative to the including file") {
  const Files files;
  std::filesystem::create_directory(files.directory.path() + "/sub");
  files.Write("sub/b.conf", "port 2\ndatabases 3\ninclude c.conf\n");
  files.Write("sub/c.conf", "tcp-backlog 9\n");
  const std::string path = files.Write("a.conf", "port 1\ninclude sub/b.conf\ndatabases 4\n");
  LoadedSettings loaded;
  REQUIRE(LoadConfigFile(path, loaded).ok());
  CHECK(loaded.settings.port == 2);
  CHECK(loaded.settings.databases == 4);
  CHECK(loaded.settings.tcp_backlog == 9);
  CHECK(loaded.sources.at(FindSetting("port")) == files.directory.path() + "/sub/b.conf:1");
}

TEST_CASE("an include that fails names every file on the way to it") {
  const Files files;
  const std::string b = files.Write("b.conf", "\nport x\n");
  const std::string a = files.Write("a.conf", "include b.conf\n");
  LoadedSettings loaded;
  CHECK(LoadConfigFile(a, loaded).error().message ==
        a + ":1: include: " + b + ":2: port: \"x\" is not a number; allowed 0 to 65535");
  const std::string c = files.Write("c.conf", "include none.conf\n");
  CHECK(LoadConfigFile(c, loaded).error().message ==
        c + ":1: include: file \"" + files.directory.path() +
            "/none.conf\": cannot open: No such file or directory");
}

TEST_CASE("files that include one another in a circle are refused") {
  const Files files;
  const std::string a = files.Write("a.conf", "include b.conf\n");
  files.Write("b.conf", "include ./a.conf\n");
  LoadedSettings loaded;
  const Status status = LoadConfigFile(a, loaded);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message.ends_with("a.conf\" includes itself"));
}

TEST_CASE("a chain of includes has an end") {
  const Files files;
  for (int i = 0; i < 20; ++i) {
    files.Write(std::to_string(i), "include " + std::to_string(i + 1) + "\n");
  }
  files.Write("20", "");
  LoadedSettings loaded;
  CHECK(LoadConfigFile(files.directory.path() + "/4", loaded)
            .error()
            .message.ends_with("more than 16 files include one another"));
  CHECK(LoadConfigFile(files.directory.path() + "/5", loaded).ok());
}

TEST_CASE("a file may be included twice") {
  const Files files;
  files.Write("b.conf", "port 2\n");
  const std::string a = files.Write("a.conf", "include b.conf\nport 3\ninclude b.conf\n");
  LoadedSettings loaded;
  REQUIRE(LoadConfigFile(a, loaded).ok());
  CHECK(loaded.settings.port == 2);
}

TEST_CASE("a missing file is named with the reason") {
  LoadedSettings loaded;
  CHECK(LoadConfigFile("/nonexistent/warren.conf", loaded).error().message ==
        "file \"/nonexistent/warren.conf\": cannot open: No such file or directory");
}
