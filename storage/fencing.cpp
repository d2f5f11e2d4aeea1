#include "storage/fencing.h"

#include <cstring>

#include "base/ordered_store.h"
#include "shmem/segment.h"
#include "storage/wal.h"
#include "storage/wal_format.h"

namespace warren {
namespace {

void RaiseTo(std::atomic<uint64_t>& number, uint64_t value) {
  uint64_t seen = number.load();
  while (seen < value && !number.compare_exchange_weak(seen, value)) {
  }
}

// Makes sure that the log has a block with `token` in it, durably.
Status LogBlockFor(uint64_t token) {
  ServerState& server = Segment::Server();
  uint64_t limit = token + kTokensPerBlock;
  Lsn end = 0;
  {
    const TokenLimit record{.limit = limit};
    ASSIGN_OR_RETURN(WalInsertion insertion, WalInsertion::Begin(sizeof record));
    // Of all who found the block used up, one logs the next; the others wait for its record.
    if (const uint64_t logged = server.logged_token_limit.load(); logged > token) {
      limit = logged;
      end = Wal::InsertPosition();
    } else {
      insertion.Publish(kTokenLimit, 0, std::as_bytes(std::span(&record, 1)), {}, 0, nullptr);
      StoreAfter(server.logged_token_limit, limit);
      end = insertion.end();
    }
  }
  RETURN_IF_ERROR(Wal::Flush(end));
  // After the flush: who sees the limit gives its tokens out at once.
  RaiseTo(server.token_limit, limit);
  return {};
}

}  // namespace

Result<uint64_t> NextFencingToken() {
  ServerState& server = Segment::Server();
  const uint64_t token = server.last_token.fetch_add(1) + 1;
  if (server.token_limit.load() <= token) RETURN_IF_ERROR(LogBlockFor(token));
  return token;
}

void RaiseTokenLimit(uint64_t limit) {
  if (limit == 0) return;
  ServerState& server = Segment::Server();
  RaiseTo(server.last_token, limit - 1);
  RaiseTo(server.token_limit, limit);
  RaiseTo(server.logged_token_limit, limit);
}

Status LoadTokenLimit(std::span<const std::byte> head) {
  TokenLimit record;
  if (head.size() != sizeof record) {
    return MakeError(ErrorCode::kCorrupt, "token limit record of {} bytes", head.size());
  }
  std::memcpy(&record, head.data(), sizeof record);
  RaiseTokenLimit(record.limit);
  return {};
}

}  // namespace warren
