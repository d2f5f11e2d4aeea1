// What has one operation stored to the segment and changed in its files, in program order?
//
// The operation runs in a forked child between Begin and End; its parent reads what came of it. End
// proves that nothing escaped: the segment as it was at Begin plus all recorded stores is the
// segment as it is. Stores that changed nothing are left out: they make no new state.
//
// Limits: kLogBytes of record. See also: store_events.h, store_replay.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/crash/store_events.h"

namespace warren::test {

struct RecordedEvent {
  enum Kind : uint8_t { kStore, kFile, kSignal } kind = kStore;
  CallKind call = CallKind::kWrite;          // kFile
  uint64_t offset = 0;                       // in the segment, in the file; kSignal: to whom
  uint64_t bytes = 0;                        // kFile: kAllocate
  std::span<const std::byte> data = {};      // kStore, kFile: kWrite; into the record
  std::string_view path = {}, to_path = {};  // kFile; into the record
};

class StoreRecorder {
 public:
  // Files below `directory` are of interest. Before the fork.
  explicit StoreRecorder(std::string directory);
  ~StoreRecorder();
  StoreRecorder(const StoreRecorder&) = delete;
  StoreRecorder& operator=(const StoreRecorder&) = delete;

  // In the child. End aborts, and says where, if anything has escaped.
  void Begin();
  void End();

  // In the parent, when the child is gone.
  std::vector<RecordedEvent> Events() const;

 private:
  std::string directory_;
  std::byte* log_;
};

// The path of an open file; empty if it has none.
std::string PathOfDescriptor(int fd);

}  // namespace warren::test
