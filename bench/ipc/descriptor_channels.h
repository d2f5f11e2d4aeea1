// How do the kernel's byte streams and datagrams carry messages: pipes, sockets?
#pragma once

#include "bench/ipc/channel.h"

namespace warren::ipc {

MadeChannel MakePipe(const ChannelPlan& plan);

// The sender's pages are lent to the pipe (vmsplice), not copied into it; the receiver copies. The
// sender makes its messages in turn in more memory than the pipe can hold, so that a page is never
// written while the pipe still has it.
MadeChannel MakeSplicedPipe(const ChannelPlan& plan);

MadeChannel MakeUnixStream(const ChannelPlan& plan);

// Any number of senders.
MadeChannel MakeUnixDatagram(const ChannelPlan& plan);

// Over 127.0.0.1, without Nagle's delay.
MadeChannel MakeTcp(const ChannelPlan& plan);

// The message stays in shared memory: one of `places` frames, whose number goes over a Unix socket;
// the receiver gives the number back by the same way.
MadeChannel MakePool(const ChannelPlan& plan);

}  // namespace warren::ipc
