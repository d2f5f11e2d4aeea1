// How does a page get from the disk into its buffer, and back?
#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "shmem/page_io.h"
#include "shmem/stats.h"

namespace warren {

// Process-private; set before the first fork.
void SetPageIo(PageIo* io);
PageIo& GetPageIo();
void SetBufferLogFlush(Status (*flush_log)(Lsn lsn));

// Fills a tagged buffer from disk and makes it valid. The caller holds it exclusively and no
// partition lock. After a failure it is still tagged, not valid: the next one tries again.
Status ReadIn(BufferIndex buffer);

// Makes a tagged or valid buffer a page of zeros but for its LSN, dirty. The caller holds it
// exclusively.
void MakeZero(BufferIndex buffer, Lsn lsn) noexcept;

// Writes a dirty buffer out (log first) and makes it clean; nothing if it is not dirty. The caller
// holds it (shared is enough) and no partition lock. After a failure it is still dirty.
Status WriteOut(BufferIndex buffer, StatId counted_as);

}  // namespace warren
