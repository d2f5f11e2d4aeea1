// Which variables does each new process write to?
//
// After a fork both sides share all private memory, and whoever first writes to a page of it gets a
// copy by a page fault: microseconds, where the write itself takes a nanosecond. Variables that
// every new process writes to stand together, then, in the small section of initialised data
// instead of anywhere in the large one of those that begin as zero.
#pragma once

#define WARREN_PER_PROCESS __attribute__((section(".data.per_process")))
