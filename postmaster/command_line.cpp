#include "postmaster/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "backend/commands_page.h"
#include "base/fault_points_page.h"
#include "base/iso_time.h"
#include "base/version.h"
#include "bench/ipc/lab.h"
#include "client/backup.h"
#include "conf/server_settings.h"
#include "conf/setting_info.h"
#include "conf/settings_doc.h"
#include "lwlock/locks_page.h"
#include "postmaster/control.h"
#include "postmaster/directory_tools.h"
#include "postmaster/restore.h"
#include "postmaster/serve.h"
#include "postmaster/wal_dump.h"
#include "shmem/stats_view.h"

namespace warren {
namespace {

const std::map<std::string, StopMode> kStopModes = {
    {"smart", StopMode::kSmart}, {"fast", StopMode::kFast}, {"immediate", StopMode::kImmediate}};

// The pages of docs/ that are made from tables.
const std::map<std::string, std::string (*)()> kGeneratedPages = {
    {"commands", CommandsMarkdown}, {"fault-points", FaultPointsMarkdown}, {"locks", LocksMarkdown},
    {"settings", SettingsMarkdown}, {"statistics", StatisticsMarkdown},
};

// What was said, for whichever sub-command.
struct Arguments {
  std::string config_file;
  std::string data_directory = Settings{}.data_directory;
  std::map<std::string, std::vector<std::string>> settings;  // by name, words as given
  StopMode mode = StopMode::kFast;
  uint64_t kill_number = 0;
  bool kill_pid = false;
  bool kill_client = false;
  int kill_timeout_seconds = 5;
  unsigned timeout_seconds = 60;
  std::string page;
  WalDumpOptions dump;
  BackupOptions backup;
  RestoreOptions restore;
  std::string to_time;
  std::string to_lsn;
  ipc::LabOptions lab;
};

// A row of the settings table as an option: "--unix_socket,--unixsocket".
std::string OptionNames(const SettingInfo& info) {
  std::string names = fmt::format("--{}", info.name);
  for (const std::string_view alias : Aliases(info)) names += fmt::format(",--{}", alias);
  return names;
}

std::string OptionHelp(const SettingInfo& info) {
  static const Settings defaults;
  const std::string value = FormatSetting(info, defaults);
  return fmt::format("{} (default: {})", info.help, value.empty() ? "none" : value);
}

void AddSettingOptions(CLI::App& command, Arguments& arguments) {
  for (const SettingInfo& info : SettingTable()) {
    const std::string name(info.name);
    CLI::Option* option =
        command.add_option(OptionNames(info), arguments.settings[name], OptionHelp(info));
    const bool hidden = info.type == SettingType::kIgnored;
    option->type_name("")->group(hidden ? "" : std::string(info.group));
    // Of several the last counts, as in the configuration file.
    option->expected(1)->take_last();
  }
}

// The words as CLI11 takes them: last first. For serve, every spelling of a setting's name
// ("--Data-Directory", an alias) is replaced by the one in the table.
std::vector<std::string> ReversedWords(int argc, char** argv) {
  std::vector<std::string> words;
  const bool serve = argc > 1 && std::string_view(argv[1]) == "serve";
  for (int i = argc - 1; i > 0; --i) {
    std::string word = argv[i];
    if (serve && word.starts_with("--")) {
      const size_t end = std::min(word.find('='), word.size());
      if (const SettingInfo* info = FindSetting(std::string_view(word).substr(2, end - 2))) {
        word = fmt::format("--{}{}", info->name, word.substr(end));
      }
    }
    words.push_back(std::move(word));
  }
  return words;
}

std::vector<NameValue> GivenSettings(const CLI::App& command, const Arguments& arguments) {
  std::vector<NameValue> given;
  for (const auto& [name, words] : arguments.settings) {
    if (command.count("--" + name) > 0)
      given.push_back({name, fmt::format("{}", fmt::join(words, " "))});
  }
  return given;
}

void AddServe(CLI::App& app, Arguments& arguments) {
  CLI::App* serve = app.add_subcommand("serve", "Run a server in the foreground");
  serve->add_option("config_file", arguments.config_file,
                    "Settings to start with, see conf/warren.conf");
  AddSettingOptions(*serve, arguments);
}

CLI::App* AddWithDirectory(CLI::App& app, Arguments& arguments, const std::string& name,
                           const std::string& help) {
  CLI::App* command = app.add_subcommand(name, help);
  command->add_option("DIR,-D,--data_directory", arguments.data_directory, "The data directory")
      ->capture_default_str();
  return command;
}

void AddStop(CLI::App& app, Arguments& arguments) {
  CLI::App* stop =
      AddWithDirectory(app, arguments, "stop", "Stop a server and wait until it is gone");
  stop->add_option("--mode", arguments.mode,
                   "smart: wait for the clients to leave; fast: end their sessions; immediate: no "
                   "clean end, for emergencies")
      ->transform(CLI::CheckedTransformer(kStopModes, CLI::ignore_case))
      ->default_str("fast");
  stop->add_option("--timeout", arguments.timeout_seconds, "Seconds to wait")
      ->capture_default_str();
}

void AddKill(CLI::App& app, Arguments& arguments) {
  CLI::App* command = app.add_subcommand(
      "kill", "End one client's or other process of a server: it is told to, then killed");
  command->add_option("NUMBER", arguments.kill_number, "A client's id or a process id")->required();
  command->add_option("DIR,-D,--data_directory", arguments.data_directory, "The data directory")
      ->capture_default_str();
  CLI::Option* pid = command->add_flag("--pid", arguments.kill_pid, "NUMBER is a process id");
  command->add_flag("--client", arguments.kill_client, "NUMBER is a client's id")->excludes(pid);
  command
      ->add_option("--timeout", arguments.kill_timeout_seconds,
                   "Seconds that it may take to end by itself")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
}

int Kill(const Arguments& arguments) {
  const KillTarget target = arguments.kill_pid      ? KillTarget::kProcess
                            : arguments.kill_client ? KillTarget::kClient
                                                    : KillTarget::kEither;
  return KillProcess(arguments.data_directory, target, arguments.kill_number,
                     std::chrono::seconds(arguments.kill_timeout_seconds));
}

void AddBackup(CLI::App& app, BackupOptions& options) {
  CLI::App* backup = app.add_subcommand("backup", "Copy a running server while clients write");
  backup
      ->add_option("DEST", options.destination,
                   "A directory to make, or - for a tar stream on standard output")
      ->required();
  backup->add_option("--host", options.server.host, "The server's address")->capture_default_str();
  backup->add_option("--port", options.server.port, "The server's TCP port")->capture_default_str();
  backup->add_option("--unix_socket", options.server.unix_socket,
                     "The server's Unix socket, instead of an address");
  backup->add_option("--password", options.server.password, "What requirepass demands")
      ->envname("WARREN_PASSWORD");
}

void AddRestore(CLI::App& app, Arguments& arguments) {
  CLI::App* restore =
      app.add_subcommand("restore", "Make a data directory from a backup; no server is needed");
  restore
      ->add_option("BACKUP", arguments.restore.backup,
                   "What `warren backup` made: a directory, a tar file, or - for standard input")
      ->required();
  restore->add_option("DIR", arguments.restore.directory, "The data directory to make")->required();
  restore
      ->add_option("--archive", arguments.restore.archives,
                   "A directory with log files: what wal_archive_directory named, or the wal "
                   "directory of a server that is down; may be given more than once")
      ->allow_extra_args(false)
      ->check(CLI::ExistingDirectory);
  CLI::Option* time = restore->add_option(
      "--to-time,--to_time", arguments.to_time,
      "Restore what was acknowledged by then: 2031-02-03 04:05:06[.789][Z|+01:00]");
  restore
      ->add_option("--to-lsn,--to_lsn", arguments.to_lsn,
                   "Restore the log up to this position (hexadecimal with 0x)")
      ->excludes(time);
}

int Restore(Arguments arguments) {
  LogTarget& target = arguments.restore.target;
  if (!arguments.to_time.empty()) {
    const Result<int64_t> time_us = ParseTime(arguments.to_time);
    if (!time_us.ok()) {
      fmt::print(stderr, "warren: --to-time: {}\n", time_us.error().message);
      return kExitFailed;
    }
    target.time_us = *time_us;
  }
  if (!arguments.to_lsn.empty()) {
    char* end = nullptr;
    target.lsn = std::strtoull(arguments.to_lsn.c_str(), &end, 0);
    if (*end != 0 || arguments.to_lsn[0] == '-') {
      fmt::print(stderr, "warren: --to-lsn: \"{}\" is not a log position\n", arguments.to_lsn);
      return kExitFailed;
    }
  }
  return RunRestore(arguments.restore);
}

void AddWalDump(CLI::App& app, Arguments& arguments) {
  CLI::App* dump = AddWithDirectory(app, arguments, "waldump", "Print the records of the log");
  dump->add_option("--start", arguments.dump.start, "From this log position on, e.g. 0x1000038");
  dump->add_option("--end", arguments.dump.end, "Up to this log position");
  dump->add_option("--type", arguments.dump.types, "Only records of this type, e.g. leaf_put")
      ->allow_extra_args(false);
  dump->add_option("--page", arguments.dump.pages, "Only records that change this page")
      ->allow_extra_args(false);
  dump->add_option("--key", arguments.dump.key,
                   "Only records with a key that matches this pattern");
}

void AddIpcLab(CLI::App& app, ipc::LabOptions& options) {
  CLI::App* lab = app.add_subcommand(
      "ipc-lab", "Measure shared memory against messages on this machine, death included");
  lab->add_flag("--quick", options.quick, "Fewer messages and rounds: under half a minute");
  lab->add_flag("--json", options.json, "Print JSON instead of tables");
  lab->add_option(
      "--plots", options.plots,
      "A directory for data, gnuplot scripts and, where gnuplot is installed, pictures");
  lab->add_option("--only", options.only,
                  "A measurement or a mechanism by its name; several with commas")
      ->delimiter(',')
      ->allow_extra_args(false);
}

void AddDocs(CLI::App& app, Arguments& arguments) {
  CLI::App* docs = app.add_subcommand("docs", "Print a page of the documentation made from tables");
  docs->add_option("page", arguments.page)->required()->check(CLI::IsMember(kGeneratedPages));
  docs->group("");  // not shown: for those who work on Warren
}

int Run(const CLI::App& app, const Arguments& arguments, int argc, char** argv) {
  const std::string& directory = arguments.data_directory;
  if (app.got_subcommand("serve")) {
    return Serve(argc, argv, arguments.config_file,
                 GivenSettings(*app.get_subcommand("serve"), arguments));
  }
  if (app.got_subcommand("init")) {
    Settings settings;
    settings.data_directory = directory;
    return InitDataDirectory(settings);
  }
  if (app.got_subcommand("stop")) {
    return StopServer(directory, arguments.mode, std::chrono::seconds(arguments.timeout_seconds));
  }
  if (app.got_subcommand("docs")) {
    fmt::print("{}", kGeneratedPages.at(arguments.page)());
    return 0;
  }
  if (app.got_subcommand("ipc-lab")) return ipc::RunIpcLab(arguments.lab);
  if (app.got_subcommand("backup")) return RunBackup(arguments.backup);
  if (app.got_subcommand("restore")) return Restore(arguments);
  if (app.got_subcommand("waldump")) {
    WalDumpOptions dump = arguments.dump;
    dump.directory = directory;
    return DumpWal(dump);
  }
  if (app.got_subcommand("check")) return CheckDirectoryCommand(directory);
  if (app.got_subcommand("kill")) return Kill(arguments);
  if (app.got_subcommand("reload")) return ReloadServer(directory);
  return ShowStatus(directory);
}

}  // namespace

int RunCommandLine(int argc, char** argv) {
  CLI::App app{"A durable, transactional key-value server that speaks the Redis protocol",
               "warren"};
  app.set_version_flag("--version", fmt::format("warren {}", kVersion));
  app.require_subcommand(1);
  Arguments arguments;
  AddWithDirectory(app, arguments, "init", "Make a data directory");
  AddServe(app, arguments);
  AddStop(app, arguments);
  AddKill(app, arguments);
  AddBackup(app, arguments.backup);
  AddRestore(app, arguments);
  AddDocs(app, arguments);
  AddWithDirectory(app, arguments, "check",
                   "Look for damage in a data directory that no server has open; changes nothing");
  AddWalDump(app, arguments);
  AddIpcLab(app, arguments.lab);
  AddWithDirectory(app, arguments, "reload", "Have a server read its configuration file again");
  AddWithDirectory(app, arguments, "status", "Say whether a server runs, and how it is");
  try {
    app.parse(ReversedWords(argc, argv));
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) == 0) return 0;  // --help, --version
    return app.got_subcommand("check") ? kCheckImpossible : 1;
  }
  return Run(app, arguments, argc, argv);
}

}  // namespace warren
