// What does `ps` show of this process?
//
// The title is written over the memory of the command line and the environment that the kernel
// shows as the command line, so that a change costs a few stores and no system call:
//
//   warren: backend 127.0.0.1:50123 db0 set
//           \________ title __________/ \_/ activity
//
// Limits: cut to the size of that memory. Before InitProcessTitle the other calls do nothing.
#pragma once

#include <string_view>

namespace warren {

// Moves the environment elsewhere and takes over its memory; argv's strings are gone afterwards.
// Once, in main, when the command line has been read.
void InitProcessTitle(int argc, char** argv);

// "warren: " + text, without activity.
void SetProcessTitle(std::string_view text);

// Replaces what follows the title. Cheap enough to be called for each command.
void SetProcessTitleActivity(std::string_view activity);

}  // namespace warren
