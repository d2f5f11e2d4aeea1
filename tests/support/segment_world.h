// How does a test get a segment of its own?
#pragma once

#include <cstdio>
#include <cstdlib>

#include "shmem/segment.h"

namespace warren::test {

inline SegmentConfig SmallSegment(uint32_t buffer_count = 64) {
  return {
      .max_connections = 12, .buffer_count = buffer_count, .command_count = 4, .database_count = 4};
}

// A segment while it lives; the creating process has slot 0.
class SegmentWorld {
 public:
  explicit SegmentWorld(const SegmentConfig& config = SmallSegment()) {
    if (const Status status = Segment::Create(config); !status.ok()) {
      std::fprintf(stderr, "%s\n", status.error().message.c_str());
      std::abort();
    }
    Segment::BindProcess(0);
  }
  ~SegmentWorld() { Segment::Destroy(); }
  SegmentWorld(const SegmentWorld&) = delete;
  SegmentWorld& operator=(const SegmentWorld&) = delete;
};

}  // namespace warren::test
