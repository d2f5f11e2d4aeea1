// How is a process of a running server made to die at its k-th store or system call?
//
// The program of the preset `sweep` maps the file that the environment variable
// WARREN_STORE_COUNTDOWN names (of at least sizeof(StoreCountdown) bytes, all zero) into each of
// its processes. Whoever steers it maps the file, too, fills in the first group and stores
// `victim_pid` last. Events are stores to the segment and system calls, in program order; the
// process kills itself before the event with which `left` reaches 0. So k = 1 is a death before
// the first event, and a death behind the last one is one before the next.
//
// Limits: what the server's own code calls is seen, not what the C library does inside.
#pragma once

#include <atomic>
#include <cstdint>

namespace warren::test {

enum StoreEventClass : uint32_t {
  kStoreEvent = 1,  // a store of at most eight bytes, atomic or not
  kRangeEvent = 2,  // of more: a memcpy, a memset, an object
  kCallEvent = 4,   // a system call that changes what others see: file, socket, signal, futex
  kAllEvents = 7,
};

struct StoreCountdown {
  // By whoever steers.
  std::atomic<int32_t> victim_pid;  // 0: nobody counts
  std::atomic<uint32_t> classes;    // StoreEventClass, or-ed: what counts
  std::atomic<int64_t> left;        // lowered by each event; 0 and less: nobody dies, only counted
  // A death before a write() or pwrite() happens after its first half.
  std::atomic<uint32_t> halve_writes;
  // 1: the victim stops where it is to die, for two seconds at most, until this is 0: so that
  // others come to wait for it and can be looked at.
  std::atomic<uint32_t> linger;

  // By the victim.
  std::atomic<uint64_t> counted;     // events so far, of the chosen classes
  std::atomic<uint32_t> dying;       // 1: it lingers, or is dead
  std::atomic<uint32_t> died_class;  // StoreEventClass of the event that it did not live to see
  std::atomic<uint64_t>
      died_at;  // kCallEvent: CallKind (store_events.h); else offset in the segment
};

}  // namespace warren::test
