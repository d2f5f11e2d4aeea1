#include "postmaster/serve.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "backend/command.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process_title.h"
#include "base/version.h"
#include "conf/server_settings.h"
#include "postmaster/crash_restart.h"
#include "postmaster/postmaster.h"
#include "postmaster/program_text.h"
#include "shmem/lock_table.h"
#include "shmem/segment.h"
#include "storage/data_directory.h"

namespace warren {
namespace {

constexpr rlim_t kWantedDescriptors = 1024;

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

// What the process itself must be before it makes anything.
void PrepareProcess() {
  umask(077);                // what is in the data directory is nobody else's business
  signal(SIGPIPE, SIG_IGN);  // a write to a client that is gone is an error code
  signal(SIGXFSZ, SIG_IGN);  // a write beyond a file-size limit likewise
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < kWantedDescriptors) {
    limit.rlim_cur = std::min(limit.rlim_max, kWantedDescriptors);
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

void WarnOfProcessLimit(const Settings& settings) {
  rlimit limit;
  if (getrlimit(RLIMIT_NPROC, &limit) != 0 || geteuid() == 0) return;
  if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < settings.max_connections + 16) {
    log::Warning("max_connections is {}, but this user may have only {} processes (ulimit -u)",
                 settings.max_connections, limit.rlim_cur);
  }
}

// Anything that is neither empty nor Warren's is left alone.
Result<DataDirectory::Kind> LookAtDirectory(const std::string& directory) {
  ASSIGN_OR_RETURN(const DataDirectory::Kind kind, DataDirectory::Inspect(directory));
  if (kind != DataDirectory::Kind::kForeign) return kind;
  return MakeError(ErrorCode::kGeneric,
                   "data directory \"{}\": neither empty nor a data directory of Warren",
                   directory);
}

// The lock on the directory, which is made on the first start: under the lock, so that two first
// starts at once don't meet in it.
Result<PidFile> TakeDirectory(const Settings& settings) {
  const std::string& directory = settings.data_directory;
  ASSIGN_OR_RETURN(DataDirectory::Kind kind, LookAtDirectory(directory));
  if (kind == DataDirectory::Kind::kMissing && mkdir(directory.c_str(), 0700) != 0) {
    return SystemError(errno, fmt::format("data directory \"{}\"", directory), "cannot make it");
  }
  ASSIGN_OR_RETURN(PidFile pid_file, PidFile::Acquire(directory));
  ASSIGN_OR_RETURN(kind, LookAtDirectory(directory));
  if (kind != DataDirectory::Kind::kWarren) {
    log::Notice("making data directory \"{}\"", directory);
    RETURN_IF_ERROR(DataDirectory::Init(directory, settings.databases));
  }
  return pid_file;
}

Status CreateSegment(const Settings& settings) {
  SegmentConfig config;
  config.max_connections = settings.max_connections;
  config.buffer_count = static_cast<uint32_t>(settings.shared_buffers_bytes / kPageBytes);
  config.command_count = static_cast<uint32_t>(CommandTable().size());
  config.database_count = settings.databases;
  config.lock_count = settings.max_locks;
  config.wal_ring_bytes = static_cast<uint32_t>(settings.wal_buffers_bytes & ~uint64_t{7});
  config.huge_pages = settings.huge_pages != HugePages::kOff;
  RETURN_IF_ERROR(Segment::Create(config));
  if (settings.huge_pages == HugePages::kOn && !Segment::HugePages()) {
    return MakeError(ErrorCode::kGeneric,
                     "huge_pages is on, but {} bytes of huge pages are not available",
                     Segment::TotalBytes());
  }
  FurnishSegment(settings);
  RegisterLockTableRepairs();
  return {};
}

Result<std::vector<Listener>> Listen(const Settings& settings) {
  const ListenerOptions options{.bind = settings.bind,
                                .port = static_cast<uint16_t>(settings.port),
                                .unix_socket = settings.unix_socket,
                                .unix_socket_permissions = settings.unix_socket_permissions,
                                .backlog = static_cast<int>(settings.tcp_backlog)};
  const std::string foreign = settings.fault_points ? FindForeignAddress(options) : "";
  if (!foreign.empty()) {
    return MakeError(ErrorCode::kGeneric,
                     "fault_points is on, so that any client can end any process: refusing to "
                     "listen on \"{}\", where other machines could connect",
                     foreign);
  }
  return OpenListeners(options);
}

PidFileContent DescribeServer(const Settings& settings, const std::vector<Listener>& listeners) {
  PidFileContent content{.pid = getpid(),
                         .start_seconds = WallClockMs() / 1000,
                         .phase = "starting",
                         .recovery = {},
                         .port = static_cast<int>(settings.port),
                         .unix_socket = settings.unix_socket,
                         .listeners = {},
                         .data_directory = AbsolutePath(settings.data_directory)};
  for (const Listener& listener : listeners) content.listeners.push_back(listener.name);
  return content;
}

void Announce(const PidFileContent& server) {
  SetProcessTitle(fmt::format("postmaster {} {}", server.listeners.front(), server.data_directory));
  log::Notice("warren {}: listening on {}, data directory \"{}\", {} MB of shared memory{}",
              kVersion, fmt::join(server.listeners, ", "), server.data_directory,
              Segment::TotalBytes() >> 20, Segment::HugePages() ? " in huge pages" : "");
}

void UseHugePagesForCode() {
  const Result<size_t> moved = MoveProgramTextToHugePages();
  if (moved.ok()) {
    log::Info("{} MB of code and constants in huge pages", *moved >> 20);
  } else {
    log::Info("code and constants in ordinary pages: {}", moved.error().message);
  }
}

// Everything that can fail. The order: what is cheap and fails often first; the lock before
// anything in the directory is looked at for good; the segment before the store, which lives in it;
// the store last, because opening marks it as in use.
Result<int> StartAndRun(ServerSettings server_settings) {
  const Settings& settings = server_settings.settings();
  ASSIGN_OR_RETURN(PidFile pid_file, TakeDirectory(settings));
  const std::vector<int> inherited = OpenDescriptors();
  EventLoop loop;
  ASSIGN_OR_RETURN(std::vector<Listener> listeners, Listen(settings));
  const std::vector<int> with_own = OpenDescriptors();
  PidFileContent content = DescribeServer(settings, listeners);
  RETURN_IF_ERROR(pid_file.Write(content));
  if (settings.huge_pages != HugePages::kOff) UseHugePagesForCode();
  RETURN_IF_ERROR(CreateSegment(settings));
  RETURN_IF_ERROR(DataDirectory::Open(settings.data_directory, settings.databases));
  Announce(content);
  return RunPostmaster({.loop = loop,
                        .settings = std::move(server_settings),
                        .listeners = std::move(listeners),
                        .private_descriptors = NewDescriptors(inherited, with_own),
                        .pid_file = std::move(pid_file),
                        .pid_file_content = std::move(content)});
}

int Fail(const std::string& message) {
  log::Error("{}", message);
  // Who starts a server looks at the terminal first.
  if (!GetSettings().log_file.empty()) fmt::print(stderr, "warren: {}\n", message);
  return 1;
}

Result<ServerSettings> TakeSettings(const std::string& config_file,
                                    std::vector<NameValue> command_line) {
  ASSIGN_OR_RETURN(ServerSettings settings,
                   ServerSettings::Load(config_file, std::move(command_line)));
  RETURN_IF_ERROR(settings.PutInForce());
  return settings;
}

}  // namespace

int Serve(int argc, char** argv, const std::string& config_file,
          std::vector<NameValue> command_line) {
  PrepareProcess();
  log::SetProcess("postmaster", kNoSlot);
  auto settings = TakeSettings(config_file, std::move(command_line));
  if (!settings.ok()) {
    fmt::print(stderr, "warren: {}\n", settings.error().message);
    return 1;
  }
  InitProcessTitle(argc, argv);
  SetProcessTitle(fmt::format("postmaster {}", AbsolutePath(GetSettings().data_directory)));
  WarnOfProcessLimit(GetSettings());
  const Result<int> exit_code = StartAndRun(std::move(*settings));
  return exit_code.ok() ? *exit_code : Fail(exit_code.error().message);
}

int InitDataDirectory(const Settings& settings) {
  umask(077);
  const auto kind = DataDirectory::Inspect(settings.data_directory);
  if (!kind.ok()) return Fail(kind.error().message);
  if (*kind == DataDirectory::Kind::kWarren) {
    return Fail(fmt::format("data directory \"{}\": made already", settings.data_directory));
  }
  const auto lock = TakeDirectory(settings);
  return lock.ok() ? 0 : Fail(lock.error().message);
}

}  // namespace warren
