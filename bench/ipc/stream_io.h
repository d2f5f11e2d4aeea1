// How are all bytes of a message got through a descriptor?
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"
#include "bench/ipc/channel.h"

namespace warren::ipc {

// All of it, however many calls that takes; Fail() if the descriptor fails. Where it does not wait
// (SetWaiting), looks again and again.
void WriteAll(int fd, std::span<const std::byte> bytes);
void ReadAll(int fd, std::span<std::byte> bytes);

// kSpin makes the descriptor non-blocking.
Status SetWaiting(int fd, Waiting waiting);

// After a system call that failed: true to try again (interrupted; or it would have waited, after a
// spinning pause). Fail() for anything else.
bool TryAgain(const char* call);

// The two ends of a pipe or a connection: [0] reads, [1] writes.
using Ends = std::array<UniqueFd, 2>;

// As large as they may be up to this, so that none wins by its default.
inline constexpr int kKernelBufferBytes = 1 << 20;

Result<Ends> OpenPipe();
// `type`: SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET.
Result<Ends> OpenUnixPair(int type);
Result<Ends> OpenTcpPair();

}  // namespace warren::ipc
