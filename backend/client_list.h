// Which clients are connected, and which of them does CLIENT LIST or CLIENT KILL mean?
//
// Read from the process slots without a lock: a client that comes or goes meanwhile may be seen or
// not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
#include "base/ids.h"
#include "shmem/proc.h"

namespace warren {

// Unset parts match everybody.
struct ClientFilter {
  std::vector<uint64_t> ids;
  std::optional<std::string_view> address, local_address;
  bool nobody = false;  // kinds of clients that don't exist here: replicas, subscribers

  bool Matches(const ClientInfo& client) const;
};

// All backends that have a client.
void ForEachClient(FunctionRef<void(const Proc& proc, Owner owner)> visit);

// "id=3 addr=127.0.0.1:50123 ... " without a line end. What Redis shows and does not exist here is
// left out.
std::string DescribeClient(const Proc& proc, Owner owner);

// Asks the backend to end its session; it does so after the command it executes. The postmaster
// kills it if it has not done so after a few seconds (postmaster/unresponsive.h).
void RequestEnd(Owner owner);

}  // namespace warren
