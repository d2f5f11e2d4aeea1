// How do people at the command line talk to a running server?
//
// Through postmaster.pid and signals; no connection is needed, so it works when none is free.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace warren {

enum class StopMode { kSmart, kFast, kImmediate };

// Exit codes, those of pg_ctl.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitNotRunning = 3;
inline constexpr int kExitNoDirectory = 4;

// Each prints what it did or found and returns the exit code.
// Stop returns when the postmaster and all its children are gone.
int StopServer(const std::string& data_directory, StopMode mode, std::chrono::seconds timeout);

// What the number given to `warren kill` is.
enum class KillTarget { kEither, kProcess, kClient };
// Ends one child of the server: told to at first, killed when it has not ended after `patience`.
int KillProcess(const std::string& data_directory, KillTarget target, uint64_t number,
                std::chrono::seconds patience);
int ReloadServer(const std::string& data_directory);
int ShowStatus(const std::string& data_directory);

}  // namespace warren
