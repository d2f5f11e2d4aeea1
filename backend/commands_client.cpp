#include "backend/commands_client.h"

#include <algorithm>
#include <string>

#include "backend/arguments.h"
#include "backend/client_list.h"
#include "backend/commands_connection.h"
#include "backend/session.h"
#include "base/ascii.h"

namespace warren {
namespace {

// Every client here is a normal one.
Status ParseType(std::string_view text, ClientFilter* filter) {
  if (EqualsIgnoreCase(text, "normal")) return {};
  for (const std::string_view other : {"master", "replica", "slave", "pubsub"}) {
    if (!EqualsIgnoreCase(text, other)) continue;
    filter->nobody = true;
    return {};
  }
  return MakeError(ErrorCode::kGeneric, "Unknown client type '{}'", text);
}

struct KillRequest {
  ClientFilter filter;
  bool skip_me = true;
};

Status ParseKillOption(std::string_view option, std::string_view value, KillRequest* request) {
  if (EqualsIgnoreCase(option, "id")) {
    const auto id = ParseInteger(value);
    if (!id || *id <= 0) {
      return MakeError(ErrorCode::kGeneric, "client-id should be greater than 0");
    }
    request->filter.ids = {static_cast<uint64_t>(*id)};
  } else if (EqualsIgnoreCase(option, "type")) {
    return ParseType(value, &request->filter);
  } else if (EqualsIgnoreCase(option, "addr")) {
    request->filter.address = value;
  } else if (EqualsIgnoreCase(option, "laddr")) {
    request->filter.local_address = value;
  } else if (EqualsIgnoreCase(option, "user")) {
    if (value != "default") return MakeError(ErrorCode::kGeneric, "No such user '{}'", value);
  } else if (EqualsIgnoreCase(option, "skipme") && EqualsIgnoreCase(value, "yes")) {
    request->skip_me = true;
  } else if (EqualsIgnoreCase(option, "skipme") && EqualsIgnoreCase(value, "no")) {
    request->skip_me = false;
  } else {
    return SyntaxError();
  }
  return {};
}

Result<KillRequest> ParseKill(Args args) {
  KillRequest request;
  if (args.size() == 3) {
    request.filter.address = args[2];
    request.skip_me = false;
    return request;
  }
  if (args.size() % 2 != 0) return SyntaxError();
  for (size_t i = 2; i < args.size(); i += 2) {
    RETURN_IF_ERROR(ParseKillOption(args[i], args[i + 1], &request));
  }
  return request;
}

Result<ClientFilter> ParseList(Args args) {
  ClientFilter filter;
  if (args.size() == 2) return filter;
  if (EqualsIgnoreCase(args[2], "type") && args.size() == 4) {
    RETURN_IF_ERROR(ParseType(args[3], &filter));
    return filter;
  }
  if (!EqualsIgnoreCase(args[2], "id") || args.size() < 4) return SyntaxError();
  for (const std::string_view text : args.subspan(3)) {
    const auto id = ParseInteger(text);
    if (!id || *id <= 0) return MakeError(ErrorCode::kGeneric, "Invalid client ID");
    filter.ids.push_back(static_cast<uint64_t>(*id));
  }
  return filter;
}

template <size_t N>
Status SetLibraryText(SharedText<N>& text, std::string_view name, std::string_view value) {
  if (!std::all_of(value.begin(), value.end(), [](char c) { return c >= '!' && c <= '~'; })) {
    return MakeError(ErrorCode::kGeneric,
                     "{} cannot contain spaces, newlines or special characters.", name);
  }
  text.Set(value);
  return {};
}

}  // namespace

Status ClientGetNameCommand(Session& session, Args) {
  const std::string_view name = session.client().name.Get();
  name.empty() ? session.reply().Null() : session.reply().Bulk(name);
  return {};
}

Status ClientIdCommand(Session& session, Args) {
  session.reply().Integer(static_cast<int64_t>(session.client_id()));
  return {};
}

Status ClientInfoCommand(Session& session, Args) {
  session.reply().Verbatim("txt", DescribeClient(ProcArray::Self(), ProcArray::SelfOwner()) + "\n");
  return {};
}

Status ClientKillCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const KillRequest request, ParseKill(args));
  int64_t killed = 0;
  ForEachClient([&](const Proc& proc, Owner owner) {
    if (!request.filter.Matches(proc.client)) return;
    const bool me = owner == ProcArray::SelfOwner();
    if (me && request.skip_me) return;
    ++killed;
    me ? session.Close(CloseReason::kKilled) : RequestEnd(owner);
  });
  if (args.size() > 3) {
    session.reply().Integer(killed);
    return {};
  }
  if (killed == 0) return MakeError(ErrorCode::kGeneric, "No such client");
  session.reply().Ok();
  return {};
}

Status ClientListCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const ClientFilter filter, ParseList(args));
  std::string lines;
  ForEachClient([&](const Proc& proc, Owner owner) {
    if (filter.Matches(proc.client)) lines += DescribeClient(proc, owner) + "\n";
  });
  session.reply().Verbatim("txt", lines);
  return {};
}

Status ClientNoEvictCommand(Session& session, Args args) {
  const bool on = EqualsIgnoreCase(args[2], "on");
  if (!on && !EqualsIgnoreCase(args[2], "off")) return SyntaxError();
  session.client().no_evict.store(on ? 1 : 0, std::memory_order_relaxed);
  session.reply().Ok();
  return {};
}

Status ClientReplyCommand(Session& session, Args args) {
  if (EqualsIgnoreCase(args[2], "on")) {
    session.set_reply_mode(ReplyMode::kOn);
    session.reply().Ok();
  } else if (EqualsIgnoreCase(args[2], "off")) {
    session.set_reply_mode(ReplyMode::kOff);
  } else if (EqualsIgnoreCase(args[2], "skip")) {
    if (session.reply_mode() != ReplyMode::kOff) session.set_reply_mode(ReplyMode::kSkipNext);
  } else {
    return SyntaxError();
  }
  return {};
}

Status ClientSetInfoCommand(Session& session, Args args) {
  if (EqualsIgnoreCase(args[2], "lib-name")) {
    RETURN_IF_ERROR(SetLibraryText(session.client().library_name, "lib-name", args[3]));
  } else if (EqualsIgnoreCase(args[2], "lib-ver")) {
    RETURN_IF_ERROR(SetLibraryText(session.client().library_version, "lib-ver", args[3]));
  } else {
    return MakeError(ErrorCode::kGeneric, "Unrecognized option '{}'", args[2]);
  }
  session.reply().Ok();
  return {};
}

Status ClientSetNameCommand(Session& session, Args args) {
  RETURN_IF_ERROR(CheckClientName(args[2]));
  session.client().name.Set(args[2]);
  session.reply().Ok();
  return {};
}

}  // namespace warren
