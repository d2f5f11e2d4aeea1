// How does the kernel's message queue (mq_overview(7)) carry messages?
#pragma once

#include "bench/ipc/channel.h"

namespace warren::ipc {

// Any number of senders. As many places as the system allows, at most plan.places. Unavailable
// where the kernel has no queues, or none for messages so large. Its name is gone at once: the
// processes inherit the open queue, and nothing is left behind.
MadeChannel MakePosixQueue(const ChannelPlan& plan);

}  // namespace warren::ipc
