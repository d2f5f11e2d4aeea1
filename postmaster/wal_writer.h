// Who makes changes durable that nobody waits for?
#pragma once

namespace warren {

// With synchronous_commit off, flushes the log every wal_writer_delay; sleeps until it is woken
// when there is nothing to do. Makes the log's next file ahead of need. Returns the exit code.
int WalWriterMain();

}  // namespace warren
