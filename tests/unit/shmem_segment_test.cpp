// Is the segment laid out as its table says, and refused when it can't be had?
#include "shmem/segment.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>

#include "shmem/buffer_pool.h"
#include "shmem/memory_limit.h"
#include "tests/support/actors.h"
#include "tests/support/segment_world.h"

namespace warren::test {
namespace {

// The flags line ("VmFlags: rd wr sh ...") of the mapping that holds `address`.
std::string MappingFlags(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      const auto at = reinterpret_cast<uintptr_t>(address);
      inside = begin <= at && at < end;
    } else if (inside && line.starts_with("VmFlags:")) {
      return line;
    }
  }
  return {};
}

}  // namespace

TEST_CASE("shared structures lie in order, apart from each other and on cache lines") {
  const SegmentWorld world;
  size_t end = 0;
  std::set<std::string_view> names;
  for (const SharedStructureInfo& structure : Segment::Structures()) {
    CAPTURE(std::string(structure.name));
    CHECK(structure.offset >= end);
    CHECK(structure.offset % kCacheLineBytes == 0);
    CHECK(structure.bytes > 0);
    CHECK_FALSE(structure.help.empty());
    CHECK(names.insert(structure.name).second);
    end = structure.offset + structure.bytes;
  }
  CHECK(Segment::TotalBytes() >= end);
  CHECK(Segment::TotalBytes() < end + (2u << 20));
  CHECK(reinterpret_cast<uintptr_t>(g_buffer_pool.Page(0)) % 4096 == 0);
}

TEST_CASE("the segment grows with what is asked for") {
  size_t small = 0;
  {
    const SegmentWorld world(SmallSegment(64));
    small = Segment::TotalBytes();
  }
  const SegmentWorld world(SmallSegment(64 + 1024));
  CHECK(Segment::TotalBytes() >= small + 1024 * kPageBytes);
  CHECK(Segment::Procs().size() == Segment::Config().slot_count());
  CHECK(Segment::Config().slot_count() > Segment::Config().max_connections);
}

TEST_CASE("the segment is allocated in full, shared and left out of core dumps") {
  const SegmentWorld world;
  const std::string flags = MappingFlags(&Segment::Server());
  CHECK(flags.find(" sh") != std::string::npos);
  CHECK(flags.find(" dd") != std::string::npos);
}

TEST_CASE("a child sees the parent's segment at the same addresses") {
  const SegmentWorld world;
  Segment::Wal().insert.store(42);
  std::byte* area = Segment::MiniTransactionArea(3);
  area[kMiniTransactionAreaBytes - 1] = std::byte{7};
  Child child([&] {
    Segment::BindProcess(3);
    Segment::Database(1).keys.store(99);
    return Segment::MiniTransactionArea(3) == area && Segment::Wal().insert.load() == 42 &&
           area[kMiniTransactionAreaBytes - 1] == std::byte{7};
  });
  CHECK(child.Succeeded());
  CHECK(Segment::Database(1).keys.load() == 99);
}

TEST_CASE(
    "a segment that does not fit into memory is refused with the bytes needed and available") {
  SegmentConfig config = SmallSegment();
  config.buffer_count = 0xffff'ffffu;  // 32 TiB
  const Status status = Segment::Create(config);
  REQUIRE_FALSE(status.ok());
  CHECK_FALSE(Segment::Exists());
  CHECK_MESSAGE(status.error().message.find(" bytes are needed, but only ") != std::string::npos,
                status.error().message);
}

TEST_CASE("too few buffers are refused") {
  CHECK_FALSE(Segment::Create(SmallSegment(4)).ok());
  CHECK_FALSE(Segment::Exists());
}

TEST_CASE("huge pages that are not there are done without") {
  SegmentConfig config = SmallSegment();
  config.huge_pages = true;
  const ChildOutput output = RunAndCapture([&] {
    const bool created = Segment::Create(config).ok();
    std::fprintf(stderr, "%s %s", created ? "created" : "refused",
                 created && Segment::HugePages() ? "huge" : "small");
  });
  CHECK_MESSAGE(output.text.find("created") != std::string::npos, output.text);
  // Either they were there, or a line says that they were not.
  const bool huge = output.text.find("created huge") != std::string::npos;
  CHECK(huge != (output.text.find("no huge pages") != std::string::npos));
}

TEST_CASE("available memory is read from the kernel's own words") {
  CHECK(ParseMemAvailable("MemTotal:  10 kB\nMemAvailable:   2048 kB\n") == 2048 * 1024);
  CHECK_FALSE(ParseMemAvailable("MemTotal:  10 kB\n").has_value());
  CHECK_FALSE(ParseCgroupLeft("max\n", "100\n", "").has_value());
  CHECK_FALSE(ParseCgroupLeft("", "", "").has_value());
  CHECK(ParseCgroupLeft("1000\n", "400\n", "anon 300\n") == 600);
  // Page cache can be taken back.
  CHECK(ParseCgroupLeft("1000\n", "400\n", "anon 1\ninactive_file 150\nactive_file 50\n") == 800);
  CHECK(ParseCgroupLeft("1000\n", "1400\n", "") == 0);
  CHECK(ReadAvailableMemory().bytes > 0);
  CHECK_FALSE(ReadAvailableMemory().source.empty());
}

}  // namespace warren::test
