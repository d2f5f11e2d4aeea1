#include "backend/commands_connection.h"

#include <algorithm>
#include <optional>
#include <string>

#include "backend/arguments.h"
#include "backend/compatibility.h"
#include "backend/session.h"
#include "base/ascii.h"
#include "base/log.h"
#include "conf/settings.h"
#include "shmem/stats.h"

namespace warren {
namespace {

constexpr std::string_view kNotAuthenticated =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
    "<proto> "
    "AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol "
    "version at the same time";

// Takes as long for every wrong password of the same length.
bool SameSecret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(static_cast<unsigned char>(a[i]) ^
                                             static_cast<unsigned char>(b[i]));
  }
  return difference == 0;
}

// Without a password to demand, any is right, as for Redis's "nopass" user.
bool PasswordFits(std::string_view user, std::string_view password) {
  const std::string& demanded = GetSettings().requirepass;
  return user == "default" && (demanded.empty() || SameSecret(password, demanded));
}

// False, and the error is written.
bool Authenticate(Session& session, std::string_view user, std::string_view password) {
  if (PasswordFits(user, password)) {
    session.set_authenticated(true);
    return true;
  }
  Stats::Add(StatId::kAuthFailures);
  log::Info("client {} at {}: authentication failed", session.client_id(),
            session.client().address.Get());
  session.reply().Error("WRONGPASS invalid username-password pair or user is disabled.");
  return false;
}

struct HelloOptions {
  std::optional<std::string_view> user, password, name;
};

Result<HelloOptions> ParseHelloOptions(Args args) {
  HelloOptions options;
  for (size_t i = 2; i < args.size(); ++i) {
    const size_t more = args.size() - 1 - i;
    if (EqualsIgnoreCase(args[i], "auth") && more >= 2) {
      options.user = args[i + 1];
      options.password = args[i + 2];
      i += 2;
    } else if (EqualsIgnoreCase(args[i], "setname") && more >= 1) {
      RETURN_IF_ERROR(CheckClientName(args[i + 1]));
      options.name = args[++i];
    } else {
      return MakeError(ErrorCode::kGeneric, "Syntax error in HELLO option '{}'", args[i]);
    }
  }
  return options;
}

void ReplyHello(Session& session) {
  Reply& reply = session.reply();
  reply.Map(7);
  reply.Bulk("server");
  reply.Bulk(kCompatibleServerName);
  reply.Bulk("version");
  reply.Bulk(kCompatibleVersion);
  reply.Bulk("proto");
  reply.Integer(session.resp_version());
  reply.Bulk("id");
  reply.Integer(static_cast<int64_t>(session.client_id()));
  reply.Bulk("mode");
  reply.Bulk("standalone");
  reply.Bulk("role");
  reply.Bulk("master");
  reply.Bulk("modules");
  reply.Array(0);
}

}  // namespace

Status CheckClientName(std::string_view name) {
  if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; })) {
    return MakeError(ErrorCode::kGeneric,
                     "Client names cannot contain spaces, newlines or special characters.");
  }
  constexpr size_t kMostBytes = sizeof(ClientInfo::name) - 1;
  if (name.size() <= kMostBytes) return {};
  return MakeError(ErrorCode::kGeneric, "Client names cannot be longer than {} bytes.", kMostBytes);
}

Status AuthCommand(Session& session, Args args) {
  if (args.size() > 3) return SyntaxError();
  if (args.size() == 2 && GetSettings().requirepass.empty()) {
    return MakeError(ErrorCode::kGeneric,
                     "AUTH <password> called without any password configured for the default user. "
                     "Are you sure your configuration is correct?");
  }
  const std::string_view user = args.size() == 3 ? args[1] : "default";
  if (Authenticate(session, user, args.back())) session.reply().Ok();
  return {};
}

Status EchoCommand(Session& session, Args args) {
  session.reply().Bulk(args[1]);
  return {};
}

Status HelloCommand(Session& session, Args args) {
  int64_t version = session.resp_version();
  if (args.size() >= 2) {
    const auto asked = ParseInteger(args[1]);
    if (!asked) {
      return MakeError(ErrorCode::kGeneric, "Protocol version is not an integer or out of range");
    }
    version = *asked;
  }
  if (version < 2 || version > 3) {
    session.reply().Error("NOPROTO unsupported protocol version");
    return {};
  }
  ASSIGN_OR_RETURN(const HelloOptions options, ParseHelloOptions(args));
  if (options.user && !Authenticate(session, *options.user, *options.password)) return {};
  if (!session.MayExecute()) {
    session.reply().Error(kNotAuthenticated);
    return {};
  }
  if (options.name) session.client().name.Set(*options.name);
  session.set_resp_version(static_cast<int>(version));
  ReplyHello(session);
  return {};
}

Status PingCommand(Session& session, Args args) {
  if (args.size() > 2) return WrongArity("ping");
  args.size() == 2 ? session.reply().Bulk(args[1]) : session.reply().Simple("PONG");
  return {};
}

Status QuitCommand(Session& session, Args) {
  session.reply().Ok();
  session.Close(CloseReason::kQuit);
  return {};
}

Status ResetCommand(Session& session, Args) {
  session.Reset();
  session.reply().Simple("RESET");
  return {};
}

Status SelectCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const uint32_t database, DatabaseArgument(args[1]));
  session.set_database(database);
  session.reply().Ok();
  return {};
}

}  // namespace warren
