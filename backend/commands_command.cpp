#include "backend/commands_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backend/arguments.h"
#include "backend/command_syntax.h"
#include "backend/session.h"
#include "base/ascii.h"
#include "base/glob.h"

namespace warren {
namespace {

struct FlagName {
  uint32_t flag;
  std::string_view name;
};
constexpr FlagName kFlagNames[] = {
    {kWrite, "write"},
    {kReadOnly, "readonly"},
    {kDenyOom, "denyoom"},
    {kAdmin, "admin"},
    {kNoScript, "noscript"},
    {kBlockingFlag, "blocking"},
    {kLoading, "loading"},
    {kStale, "stale"},
    {kSkipSlowlog, "skip_slowlog"},
    {kFast, "fast"},
    {kNoAuth, "no_auth"},
    {kNoAsyncLoading, "no_async_loading"},
    {kNoMulti, "no_multi"},
    {kMovableKeys, "movablekeys"},
    {kAllowBusy, "allow_busy"},
};

std::vector<std::string_view> FlagNames(const CommandInfo& info) {
  std::vector<std::string_view> names;
  for (const FlagName& row : kFlagNames) {
    if ((info.flags & row.flag) != 0) names.push_back(row.name);
  }
  return names;
}

// Redis's categories, derived as Redis derives them from flags and group.
std::vector<std::string> AclCategories(const CommandInfo& info) {
  std::vector<std::string> categories;
  const auto add = [&](bool applies, std::string_view name) {
    if (applies) categories.push_back(fmt::format("@{}", name));
  };
  add(info.group == "generic", "keyspace");
  add((info.flags & kReadOnly) != 0, "read");
  add((info.flags & kWrite) != 0, "write");
  add(info.group == "string", "string");
  add((info.flags & kAdmin) != 0, "admin");
  add((info.flags & kFast) != 0, "fast");
  add((info.flags & kFast) == 0, "slow");
  add((info.flags & (kAdmin | kDangerous)) != 0, "dangerous");
  add(info.group == "connection", "connection");
  add(info.group == "transactions", "transaction");
  return categories;
}

bool IsSubcommand(const CommandInfo& info) { return info.name.find('|') != std::string_view::npos; }

std::vector<const CommandInfo*> TopLevel() {
  std::vector<const CommandInfo*> commands;
  for (const CommandInfo& info : CommandTable()) {
    if (!IsSubcommand(info)) commands.push_back(&info);
  }
  return commands;
}

// As sent: "config|get" too. Null for an unknown one.
std::vector<const CommandInfo*> Named(Args names) {
  std::vector<const CommandInfo*> commands;
  for (const std::string_view name : names) commands.push_back(FindCommandByName(name));
  return commands;
}

void ReplyKeySpecs(Reply& reply, const CommandInfo& info) {
  if (info.first_key == 0) return reply.Array(0);
  const bool write = (info.flags & kWrite) != 0;
  reply.Array(1);
  reply.Map(3);
  reply.Bulk("flags");
  reply.Set(2);
  reply.Simple(write ? "RW" : "RO");
  reply.Simple(write ? "UPDATE" : "ACCESS");
  reply.Bulk("begin_search");
  reply.Map(2);
  reply.Bulk("type");
  reply.Bulk("index");
  reply.Bulk("spec");
  reply.Map(1);
  reply.Bulk("index");
  reply.Integer(info.first_key);
  reply.Bulk("find_keys");
  reply.Map(2);
  reply.Bulk("type");
  reply.Bulk("range");
  reply.Bulk("spec");
  reply.Map(3);
  reply.Bulk("lastkey");
  reply.Integer(info.last_key < 0 ? info.last_key : info.last_key - info.first_key);
  reply.Bulk("keystep");
  reply.Integer(info.key_step);
  reply.Bulk("limit");
  reply.Integer(0);
}

void ReplyInfo(Reply& reply, const CommandInfo& info) {
  reply.Array(10);
  reply.Bulk(info.name);
  reply.Integer(info.arity);
  const auto flags = FlagNames(info);
  reply.Set(flags.size());
  for (const std::string_view flag : flags) reply.Simple(flag);
  reply.Integer(info.first_key);
  reply.Integer(info.last_key);
  reply.Integer(info.key_step);
  const auto categories = AclCategories(info);
  reply.Set(categories.size());
  for (const std::string& category : categories) reply.Simple(category);
  reply.Array(0);  // tips
  ReplyKeySpecs(reply, info);
  const auto subcommands = SubcommandsOf(info);
  reply.Array(subcommands.size());
  for (const CommandInfo& sub : subcommands) ReplyInfo(reply, sub);
}

void ReplyArgument(Reply& reply, const SyntaxArgument& argument) {
  const bool named = !argument.token.empty();
  const bool nested = !argument.parts.empty();
  const size_t flags = (argument.optional ? 1u : 0u) + (argument.multiple ? 1u : 0u);
  reply.Map(2 + (named ? 1u : 0u) + (flags > 0 ? 1u : 0u) + (nested ? 1u : 0u));
  reply.Bulk("name");
  reply.Bulk(argument.name);
  reply.Bulk("type");
  reply.Bulk(argument.type);
  if (named) {
    reply.Bulk("token");
    reply.Bulk(argument.token);
  }
  if (flags > 0) {
    reply.Bulk("flags");
    reply.Set(flags);
    if (argument.optional) reply.Simple("optional");
    if (argument.multiple) reply.Simple("multiple");
  }
  if (!nested) return;
  reply.Bulk("arguments");
  reply.Array(argument.parts.size());
  for (const SyntaxArgument& part : argument.parts) ReplyArgument(reply, part);
}

void ReplyDocs(Reply& reply, const CommandInfo& info) {
  const auto arguments = ParseSyntax(info);
  const auto subcommands = SubcommandsOf(info);
  reply.Bulk(info.name);
  reply.Map(4 + (arguments.empty() ? 0u : 1u) + (subcommands.empty() ? 0u : 1u));
  reply.Bulk("summary");
  reply.Bulk(info.summary);
  reply.Bulk("since");
  reply.Bulk(info.since);
  reply.Bulk("group");
  reply.Bulk(info.group);
  reply.Bulk("complexity");
  reply.Bulk(info.complexity);
  if (!arguments.empty()) {
    reply.Bulk("arguments");
    reply.Array(arguments.size());
    for (const SyntaxArgument& argument : arguments) ReplyArgument(reply, argument);
  }
  if (subcommands.empty()) return;
  reply.Bulk("subcommands");
  reply.Map(subcommands.size());
  for (const CommandInfo& sub : subcommands) ReplyDocs(reply, sub);
}

// The names that FILTERBY lets through.
Result<std::vector<std::string_view>> Filtered(Args args) {
  std::vector<std::string_view> names;
  if (args.size() != 2 && (args.size() != 5 || !EqualsIgnoreCase(args[2], "filterby"))) {
    return SyntaxError();
  }
  const std::string_view by = args.size() == 5 ? args[3] : "pattern";
  const std::string_view what = args.size() == 5 ? args[4] : "*";
  const bool pattern = EqualsIgnoreCase(by, "pattern");
  const bool category = EqualsIgnoreCase(by, "aclcat");
  if (!pattern && !category && !EqualsIgnoreCase(by, "module")) return SyntaxError();
  for (const CommandInfo* info : TopLevel()) {
    const auto categories = AclCategories(*info);
    const bool in_category =
        std::ranges::find(categories, "@" + AsciiLower(what)) != categories.end();
    // Nothing comes from a module.
    if ((pattern && GlobMatch(what, info->name, GlobCase::kIgnore)) || (category && in_category)) {
      names.push_back(info->name);
    }
  }
  return names;
}

}  // namespace

Status CommandCommand(Session& session, Args) {
  const auto commands = TopLevel();
  session.reply().Array(commands.size());
  for (const CommandInfo* info : commands) ReplyInfo(session.reply(), *info);
  return {};
}

Status CommandCountCommand(Session& session, Args) {
  session.reply().Integer(static_cast<int64_t>(TopLevel().size()));
  return {};
}

Status CommandInfoCommand(Session& session, Args args) {
  const auto commands = args.size() == 2 ? TopLevel() : Named(args.subspan(2));
  session.reply().Array(commands.size());
  for (const CommandInfo* info : commands) {
    info != nullptr ? ReplyInfo(session.reply(), *info) : session.reply().NullArray();
  }
  return {};
}

Status CommandDocsCommand(Session& session, Args args) {
  auto commands = args.size() == 2 ? TopLevel() : Named(args.subspan(2));
  std::erase(commands, nullptr);
  session.reply().Map(commands.size());
  for (const CommandInfo* info : commands) ReplyDocs(session.reply(), *info);
  return {};
}

Status CommandListCommand(Session& session, Args args) {
  ASSIGN_OR_RETURN(const auto names, Filtered(args));
  session.reply().Array(names.size());
  for (const std::string_view name : names) session.reply().Bulk(name);
  return {};
}

Status CommandGetKeysCommand(Session& session, Args args) {
  const Args asked = args.subspan(2);
  const CommandInfo* container = nullptr;
  const CommandInfo* info = FindCommand(asked, &container);
  if (info == nullptr) return MakeError(ErrorCode::kGeneric, "Invalid command specified");
  if (info->first_key == 0) {
    return MakeError(ErrorCode::kGeneric, "The command has no key arguments");
  }
  if (!ArityFits(*info, asked.size())) {
    return MakeError(ErrorCode::kGeneric, "Invalid number of arguments specified for command");
  }
  const auto count = static_cast<int>(asked.size());
  const int last =
      info->last_key < 0 ? count + info->last_key : std::min(info->last_key, count - 1);
  session.reply().Array(static_cast<size_t>((last - info->first_key) / info->key_step + 1));
  for (int i = info->first_key; i <= last; i += info->key_step) {
    session.reply().Bulk(asked[static_cast<size_t>(i)]);
  }
  return {};
}

}  // namespace warren
