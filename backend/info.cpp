#include "backend/info.h"

#include <fmt/format.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "backend/client_list.h"
#include "backend/compatibility.h"
#include "backend/process_usage.h"
#include "base/ascii.h"
#include "base/clock.h"
#include "base/version.h"
#include "conf/server_settings.h"
#include "conf/settings.h"
#include "shmem/segment.h"
#include "shmem/stats.h"
#include "storage/lsn_text.h"
#include "storage/store.h"
#include "storage/wal.h"
#include "storage/wal_format.h"

namespace warren {
namespace {

// Lines of "name:value".
class Lines {
 public:
  template <typename T>
  void Add(std::string_view name, const T& value) {
    text_ += fmt::format("{}:{}\r\n", name, value);
  }
  // With the same for people beside it.
  void AddBytes(std::string_view name, uint64_t bytes) {
    Add(name, bytes);
    Add(fmt::format("{}_human", name), Human(bytes));
  }
  std::string& text() { return text_; }

 private:
  static std::string Human(uint64_t bytes) {
    const auto value = static_cast<double>(bytes);
    if (bytes < 1024) return fmt::format("{}B", bytes);
    if (bytes < 1024 * 1024) return fmt::format("{:.2f}K", value / 1024);
    if (bytes < 1024ull * 1024 * 1024) return fmt::format("{:.2f}M", value / (1024 * 1024));
    return fmt::format("{:.2f}G", value / (1024.0 * 1024 * 1024));
  }
  std::string text_;
};

std::string Executable() {
  std::array<char, PATH_MAX> path{};
  const ssize_t n = readlink("/proc/self/exe", path.data(), path.size());
  return n > 0 ? std::string(path.data(), static_cast<size_t>(n)) : "";
}

// One run of the server is told from every other by its start and its postmaster.
std::string RunId() {
  const ServerState& server = Segment::Server();
  return fmt::format("{:016x}{:08x}{:016x}", server.start_us.load(), server.postmaster_pid.load(),
                     server.start_count.load());
}

void Server(Lines& lines) {
  const ServerState& server = Segment::Server();
  const int64_t now_us = WallClockUs();
  const int64_t uptime_s = (now_us - server.start_us.load()) / 1'000'000;
  utsname system{};
  uname(&system);
  lines.Add("redis_version", kCompatibleVersion);
  lines.Add("redis_mode", "standalone");
  lines.Add("warren_version", kVersion);
  lines.Add("os", fmt::format("{} {} {}", system.sysname, system.release, system.machine));
  lines.Add("arch_bits", sizeof(void*) * 8);
  lines.Add("process_id", server.postmaster_pid.load());
  lines.Add("run_id", RunId());
  lines.Add("tcp_port", GetSettings().port);
  lines.Add("server_time_usec", now_us);
  lines.Add("uptime_in_seconds", uptime_s);
  lines.Add("uptime_in_days", uptime_s / 86400);
  lines.Add("executable", Executable());
  lines.Add("config_file", ConfigFilePath());
}

void Clients(Lines& lines) {
  uint64_t connected = 0;
  uint64_t longest_input = 0;
  uint64_t longest_output = 0;
  ForEachClient([&](const Proc& proc, Owner) {
    ++connected;
    longest_input = std::max<uint64_t>(longest_input, proc.client.query_bytes.load());
    longest_output = std::max<uint64_t>(longest_output, proc.client.output_bytes.load());
  });
  lines.Add("connected_clients", connected);
  lines.Add("cluster_connections", 0);
  lines.Add("maxclients", GetSettings().max_connections);
  lines.Add("client_recent_max_input_buffer", longest_input);
  lines.Add("client_recent_max_output_buffer", longest_output);
  lines.Add("blocked_clients", 0);
  lines.Add("tracking_clients", 0);
}

void Memory(Lines& lines) {
  const uint64_t shared = Segment::TotalBytes();
  const uint64_t private_bytes = UsageOfServer().private_bytes;
  struct sysinfo system {};
  sysinfo(&system);
  lines.AddBytes("used_memory", shared + private_bytes);
  lines.AddBytes("used_memory_rss", shared + private_bytes);
  lines.AddBytes("used_memory_shared", shared);
  lines.AddBytes("used_memory_private", private_bytes);
  lines.AddBytes("total_system_memory", uint64_t{system.totalram} * system.mem_unit);
  lines.AddBytes("maxmemory", 0);
  lines.Add("maxmemory_policy", "noeviction");
  lines.Add("huge_pages", Segment::HugePages() ? 1 : 0);
}

int64_t Seconds(int64_t us) { return us / 1'000'000; }

// Redis's snapshot is a checkpoint here.
void Checkpoints(Lines& lines) {
  const CheckpointRequests& checkpoints = Segment::Checkpoints();
  const bool running = checkpoints.running.load() != 0;
  const int64_t duration_us = checkpoints.last_duration_us.load();
  const std::string_view status = checkpoints.last_failed.load() == 0 ? "ok" : "err";
  lines.Add("rdb_changes_since_last_save",
            Stats::ReadSinceStart(StatId::kMiniTransactions) - checkpoints.changes_at_begin.load());
  lines.Add("rdb_bgsave_in_progress", running ? 1 : 0);
  lines.Add("rdb_last_save_time", Seconds(checkpoints.last_done_us.load()));
  lines.Add("rdb_last_bgsave_status", status);
  lines.Add("rdb_last_bgsave_time_sec", duration_us == 0 ? -1 : Seconds(duration_us));
  lines.Add("rdb_current_bgsave_time_sec",
            running ? Seconds(WallClockUs() - checkpoints.begun_us.load()) : -1);
  lines.Add("rdb_saves", checkpoints.completed.load());
  lines.Add("rdb_last_cow_size", 0);
  lines.Add("checkpoints_timed", checkpoints.timed.load());
  lines.Add("checkpoints_log_size", checkpoints.sized.load());
  lines.Add("checkpoints_after_redo", checkpoints.after_redo.load());
  lines.Add("checkpoints_requested", checkpoints.asked.load());
  lines.Add("checkpoints_completed", checkpoints.completed.load());
}

// Redis's append-only file is the log; rewriting it is a checkpoint.
void LogFields(Lines& lines) {
  const WalState& wal = Segment::Wal();
  const CheckpointRequests& checkpoints = Segment::Checkpoints();
  const bool running = checkpoints.running.load() != 0;
  const Lsn redo_point = wal.redo_point.load();
  const Lsn flush = Wal::FlushPosition();
  const Lsn insert = Wal::InsertPosition();
  const auto status = [](bool ok) { return ok ? "ok" : "err"; };
  lines.Add("aof_enabled", 1);
  lines.Add("aof_rewrite_in_progress", running ? 1 : 0);
  lines.Add("aof_rewrite_scheduled", checkpoints.requests.Outstanding() ? 1 : 0);
  lines.Add("aof_last_bgrewrite_status", status(checkpoints.last_failed.load() == 0));
  lines.Add("aof_last_write_status", status(wal.failure.load() == 0));
  lines.Add("aof_current_size", insert - redo_point);
  lines.Add("aof_buffer_length", insert - flush);
  lines.Add("wal_insert_lsn", FormatLsn(insert));
  lines.Add("wal_flush_lsn", FormatLsn(flush));
  lines.Add("wal_redo_lsn", FormatLsn(redo_point));
  lines.Add("data_file_sync_status", status(wal.data_failure.load() == 0));
  lines.Add("redo_unreadable_pages", Stats::ReadSinceStart(StatId::kRedoUnreadablePages));
  lines.Add("system_id", fmt::format("{:016x}", Wal::GetIdentity().system_id));
  lines.Add("start_count", Segment::Server().start_count.load());
}

void Persistence(Lines& lines) {
  const auto phase = static_cast<ServerPhase>(Segment::Server().phase.load());
  lines.Add("loading", phase == ServerPhase::kStarting ? 1 : 0);
  lines.Add("async_loading", 0);
  Checkpoints(lines);
  LogFields(lines);
}

// Backups under way, and what the archiver does.
void Archive(Lines& lines) {
  const WalState& wal = Segment::Wal();
  const auto slots = Segment::Procs().slots();
  lines.Add("backups_in_progress", std::ranges::count_if(slots, [](const Proc& proc) {
              return proc.life.load() == ProcLife::kRunning && proc.wal_hold.load() != 0;
            }));
  const bool on = !GetSettings().wal_archive_directory.empty();
  const bool failing = wal.archive_failing.load() != 0;
  lines.Add("archive_status", on ? (failing ? "err" : "ok") : "off");
  lines.Add("archived_files", Stats::Read(StatId::kWalFilesArchived));
  lines.Add("archive_failures", Stats::Read(StatId::kWalArchiveFailures));
  const uint64_t last = wal.last_archived.load();
  lines.Add("archive_last_file", last == 0 ? "" : WalSegmentName(last));
  lines.Add("archive_last_time", wal.last_archived_us.load() / 1'000'000);
}

void Statistics(Lines& lines) {
  const auto add = [&lines](std::string_view name, StatId id) { lines.Add(name, Stats::Read(id)); };
  const uint64_t rejected = Stats::Read(StatId::kConnectionsRejectedLimit) +
                            Stats::Read(StatId::kConnectionsRejectedFork);
  lines.Add("total_connections_received", Stats::Read(StatId::kConnectionsAccepted) + rejected);
  add("total_commands_processed", StatId::kCommands);
  add("total_net_input_bytes", StatId::kInputBytes);
  add("total_net_output_bytes", StatId::kOutputBytes);
  lines.Add("rejected_connections", rejected);
  lines.Add("sync_full", 0);
  lines.Add("sync_partial_ok", 0);
  lines.Add("sync_partial_err", 0);
  add("expired_keys", StatId::kExpiredKeys);
  lines.Add("evicted_keys", 0);
  add("keyspace_hits", StatId::kKeyspaceHits);
  add("keyspace_misses", StatId::kKeyspaceMisses);
  lines.Add("pubsub_channels", 0);
  lines.Add("pubsub_patterns", 0);
  add("total_error_replies", StatId::kErrors);
  add("total_reads_processed", StatId::kReads);
  add("total_writes_processed", StatId::kWrites);
}

void Replication(Lines& lines) {
  lines.Add("role", "master");
  lines.Add("connected_slaves", 0);
}

void Cpu(Lines& lines) {
  const ProcessUsage usage = UsageOfServer();
  lines.Add("used_cpu_sys", fmt::format("{:.6f}", usage.system_seconds));
  lines.Add("used_cpu_user", fmt::format("{:.6f}", usage.user_seconds));
  lines.Add("used_cpu_sys_children", fmt::format("{:.6f}", usage.children_system_seconds));
  lines.Add("used_cpu_user_children", fmt::format("{:.6f}", usage.children_user_seconds));
}

void CommandStats(Lines& lines) {
  const auto table = CommandTable();
  for (size_t i = 0; i < table.size(); ++i) {
    const Stats::CommandTotals totals = Stats::ReadCommand(i);
    if (totals.calls == 0 && totals.rejected == 0) continue;
    const double per_call = totals.calls == 0 ? 0
                                              : static_cast<double>(totals.microseconds) /
                                                    static_cast<double>(totals.calls);
    lines.Add(
        fmt::format("cmdstat_{}", table[i].name),
        fmt::format("calls={},usec={},usec_per_call={:.2f},rejected_calls={},failed_calls={}",
                    totals.calls, totals.microseconds, per_call, totals.rejected, totals.failed));
  }
}

void ErrorStats(Lines& lines) {
  for (size_t i = 0; i < ErrorKindNames().size(); ++i) {
    const uint64_t count = Stats::ReadError(i);
    if (count == 0) continue;
    lines.Add(fmt::format("errorstat_{}", ErrorKindNames()[i]), fmt::format("count={}", count));
  }
}

void Cluster(Lines& lines) { lines.Add("cluster_enabled", 0); }

void Keyspace(Lines& lines) {
  for (uint32_t database = 0; database < Segment::Config().database_count; ++database) {
    const uint64_t keys = Store::KeyCount(database);
    if (keys == 0) continue;
    lines.Add(fmt::format("db{}", database),
              fmt::format("keys={},expires={},avg_ttl=0", keys, Store::ExpiresCount(database)));
  }
}

struct Section {
  std::string_view name;
  bool by_default;
  void (*write)(Lines& lines);
};
constexpr Section kSections[] = {
    {"Server", true, Server},
    {"Clients", true, Clients},
    {"Memory", true, Memory},
    {"Persistence", true, Persistence},
    {"Archive", true, Archive},
    {"Stats", true, Statistics},
    {"Replication", true, Replication},
    {"CPU", true, Cpu},
    {"Commandstats", false, CommandStats},
    {"Errorstats", true, ErrorStats},
    {"Cluster", true, Cluster},
    {"Keyspace", true, Keyspace},
};

bool Wanted(const Section& section, Args asked) {
  if (asked.empty()) return section.by_default;
  return std::ranges::any_of(asked, [&section](std::string_view name) {
    return EqualsIgnoreCase(name, section.name) || EqualsIgnoreCase(name, "all") ||
           EqualsIgnoreCase(name, "everything") ||
           (section.by_default && EqualsIgnoreCase(name, "default"));
  });
}

}  // namespace

std::string InfoText(Args sections) {
  std::string text;
  for (const Section& section : kSections) {
    if (!Wanted(section, sections)) continue;
    Lines lines;
    section.write(lines);
    if (!text.empty()) text += "\r\n";
    text += fmt::format("# {}\r\n", section.name);
    text += lines.text();
  }
  return text;
}

}  // namespace warren
