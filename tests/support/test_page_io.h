// Does the buffer cache bring every page to the file and back? A file of pages that say who they
// are.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "shmem/page_io.h"
#include "tests/support/shared_region.h"

namespace warren::test {

// A page filled with words that follow from its number and version, so that any mixture of two
// versions or of two pages shows.
struct TestPage {
  static constexpr size_t kFill = kPageBytes / 8 - 3;
  uint64_t lsn;
  uint64_t page_no;
  uint64_t version;
  uint64_t fill[kFill];

  uint64_t Word(size_t i) const { return (page_no << 40) ^ (version << 12) ^ i; }

  void Set(PageNo number, uint64_t new_version) {
    lsn = new_version;
    page_no = number;
    version = new_version;
    for (size_t i = 0; i < kFill; ++i) fill[i] = Word(i);
  }
  bool Whole(PageNo number) const {
    if (page_no != number || lsn != version) return false;
    for (size_t i = 0; i < kFill; ++i) {
      if (fill[i] != Word(i)) return false;
    }
    return true;
  }
  bool Zero() const {
    const auto* words = reinterpret_cast<const uint64_t*>(this);
    for (size_t i = 0; i < kPageBytes / 8; ++i) {
      if (words[i] != 0) return false;
    }
    return true;
  }
};
static_assert(sizeof(TestPage) == kPageBytes);

// In memory shared by all processes of the test: which calls shall fail, and what happened.
struct TestPageIoState {
  std::atomic<int> failing_reads;   // this many of the next reads fail
  std::atomic<int> failing_writes;  // likewise; -1: all
  std::atomic<uint64_t> reads;
  std::atomic<uint64_t> writes;
};

// An unlinked file of TestPages. Reads check that the page is whole (or all zero: never written).
class TestPageIo : public PageIo {
 public:
  TestPageIo() : region_(4096), state_(region_.Allocate<TestPageIoState>()) {
    char name[] = "/tmp/warren_pages_XXXXXX";
    fd_ = mkstemp(name);
    if (fd_ < 0) std::abort();
    unlink(name);
  }
  ~TestPageIo() override { close(fd_); }
  TestPageIo(const TestPageIo&) = delete;
  TestPageIo& operator=(const TestPageIo&) = delete;

  TestPageIoState& state() { return *state_; }

  // Called half-way through the copying of a page, and between the copy and the write.
  // Process-private.
  void set_inside_copy(void (*function)()) { inside_copy_ = function; }

  Status ReadPage(PageNo page_no, PageBytes page) override {
    state_->reads.fetch_add(1);
    if (Fails(state_->failing_reads))
      return MakeError(ErrorCode::kIo, "page {}: read refused", page_no);
    ReadRaw(page_no, page.data());
    const auto& content = *reinterpret_cast<const TestPage*>(page.data());
    if (content.Whole(page_no) || content.Zero()) return {};
    return MakeError(ErrorCode::kCorrupt, "page {}: not whole", page_no);
  }

  Status WritePage(PageNo page_no, ConstPageBytes page) override {
    state_->writes.fetch_add(1);
    if (Fails(state_->failing_writes)) {
      return MakeError(ErrorCode::kNoSpace, "page {}: no space", page_no);
    }
    // As a real file does: a copy, then the write.
    alignas(8) std::byte copy[kPageBytes];
    std::memcpy(copy, page.data(), kPageBytes / 2);
    if (inside_copy_ != nullptr) inside_copy_();
    std::memcpy(copy + kPageBytes / 2, page.data() + kPageBytes / 2, kPageBytes / 2);
    if (inside_copy_ != nullptr) inside_copy_();
    if (pwrite(fd_, copy, kPageBytes, off_t{page_no} * kPageBytes) != kPageBytes) std::abort();
    return {};
  }

  Status Sync() override { return {}; }

  // What is in the file, whatever is cached.
  void ReadRaw(PageNo page_no, std::byte* page) const {
    const ssize_t bytes = pread(fd_, page, kPageBytes, off_t{page_no} * kPageBytes);
    if (bytes < 0) std::abort();
    std::memset(page + bytes, 0, kPageBytes - static_cast<size_t>(bytes));
  }
  TestPage OnDisk(PageNo page_no) const {
    TestPage page;
    ReadRaw(page_no, reinterpret_cast<std::byte*>(&page));
    return page;
  }

 private:
  // Takes one of the failures that are left.
  static bool Fails(std::atomic<int>& left) {
    int now = left.load();
    while (now > 0 && !left.compare_exchange_weak(now, now - 1)) {
    }
    return now != 0;
  }

  SharedRegion region_;
  TestPageIoState* state_;
  void (*inside_copy_)() = nullptr;
  int fd_;
};

}  // namespace warren::test
