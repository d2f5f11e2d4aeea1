// How does a new process get at the program's code without a page fault for each piece of it?
//
// Code that is mapped from the program's file is no part of what fork copies: a child takes a page
// fault for every 64 KiB of it that it comes by, 33 of the 55 faults of a connection with one
// command. A copy in huge pages, shared by all processes, is inherited by fork as three entries.
//
// Limits: the static program only, whose read-only segments are one that begins at a huge page
// (CMakeLists.txt); elsewhere, and where the kernel gives no huge pages or lets nobody make
// memory executable, the code stays where it is. Tools that name a process's code by the file that
// is mapped there (perf) cannot name it any more, debuggers can: `huge_pages = off` helps.
#pragma once

#include <cstddef>

#include "base/result.h"

namespace warren {

// To be called before there is a second thread or process. Returns the bytes that are in huge pages
// now; an error says why nothing has changed.
Result<size_t> MoveProgramTextToHugePages();

}  // namespace warren
