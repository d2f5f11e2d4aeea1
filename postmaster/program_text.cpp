#include "postmaster/program_text.h"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/check.h"

namespace warren {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;
// MADV_COLLAPSE of Linux 6.1: puts the pages of a mapping together to huge ones, now.
constexpr int kCollapse = 25;

struct Text {
  uintptr_t begin = 0, end = 0;  // of the executable segment
  uintptr_t next = UINTPTR_MAX;  // where the next segment begins
};

// The program itself is the first object that is told.
int FindText(dl_phdr_info* info, size_t, void* found) {
  Text& text = *static_cast<Text*>(found);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    const uintptr_t begin = info->dlpi_addr + header.p_vaddr;
    if ((header.p_flags & PF_X) != 0) {
      text.begin = begin;
      text.end = begin + header.p_memsz;
    } else if (text.end != 0) {
      text.next = std::min(text.next, begin);
    }
  }
  return 1;
}

// The part of the text that can be moved: whole huge pages that hold nothing else.
Result<Text> MovableText() {
  Text text;
  dl_iterate_phdr(FindText, &text);
  if (text.begin == 0 || text.begin % kHugePageBytes != 0) {
    return MakeError(ErrorCode::kGeneric, "the program was not linked for it");
  }
  const uintptr_t up = (text.end + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  // Of a huge page that it shares with data nothing is moved.
  text.end = std::min(text.end, up <= text.next ? up : up - kHugePageBytes);
  if (text.end <= text.begin) return MakeError(ErrorCode::kGeneric, "there is too little code");
  return text;
}

Error TextError(const char* what) {
  return MakeError(ErrorCode::kGeneric, "{}: {}", what, std::strerror(errno));
}

// Executable like the original, in huge pages; `at` is the beginning of a huge page.
Status FillCopy(std::byte* at, size_t bytes, const Text& text) {
  if (madvise(at, bytes, MADV_HUGEPAGE) != 0) return TextError("no huge pages");
  std::memcpy(at, reinterpret_cast<const void*>(text.begin), text.end - text.begin);
  if (madvise(at, bytes, kCollapse) != 0) return TextError("no huge pages");
  if (mprotect(at, bytes, PROT_READ | PROT_EXEC) != 0) return TextError("cannot make code");
  return {};
}

}  // namespace

Result<size_t> MoveProgramTextToHugePages() {
  ASSIGN_OR_RETURN(const Text text, MovableText());
  const size_t bytes =
      (text.end - text.begin + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  const size_t reserved = bytes + kHugePageBytes;
  void* const place =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) return TextError("no memory");
  const auto address = reinterpret_cast<uintptr_t>(place);
  const uintptr_t copy = (address + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  Status filled = FillCopy(reinterpret_cast<std::byte*>(copy), bytes, text);
  if (filled.ok()) {
    // One system call replaces the code that makes it: the next instruction is the copy's.
    void* const moved = mremap(reinterpret_cast<void*>(copy), bytes, bytes,
                               MREMAP_MAYMOVE | MREMAP_FIXED, reinterpret_cast<void*>(text.begin));
    if (moved == MAP_FAILED) filled = TextError("cannot move it");
  }
  const uintptr_t rest = filled.ok() ? copy + bytes : copy;
  munmap(place, copy - address);
  munmap(reinterpret_cast<void*>(rest), address + reserved - rest);
  if (!filled.ok()) return filled.error();
  return bytes;
}

}  // namespace warren
