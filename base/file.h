// How is a file read and written so that a failure names the file and the reason?
//
// Every function finishes short reads and writes and interrupted calls. Errors: kNoSpace when the
// disk, a quota or a file-size limit is exhausted; kCorrupt when a file ends early; else kIo. The
// process must ignore SIGXFSZ, or a file-size limit ends it instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace warren {

// `FILE: WHAT: reason of error_number`. `file` says what kind of file it is: data file "base/main".
Error SystemError(int error_number, std::string_view file, std::string_view what);

Result<std::string> ReadWholeFile(const std::string& path);

// Replaces `path` by `content`, durably: after a success the new content is on disk; after a
// failure or a death at any moment the old file stands (a temporary file `path.tmp.PID` may be left
// by a death). A file that existed keeps its permissions; a new one gets `mode`.
Status WriteFileAtomically(const std::string& path, std::string_view content, unsigned mode = 0644);

// Removes what deaths in WriteFileAtomically have left. Nobody else may be writing the file.
void RemoveLeftoversOf(const std::string& path);

// Makes a directory's entries durable, after a file was created, renamed or removed in it.
Status SyncDirectory(const std::string& path);

// All of `bytes` at `offset`. `file` is for the error's text only.
Status PreadFully(int fd, std::span<std::byte> bytes, uint64_t offset, std::string_view file);
Status PwriteFully(int fd, std::span<const std::byte> bytes, uint64_t offset,
                   std::string_view file);

}  // namespace warren
