#include "conf/settings_doc.h"

#include <fmt/format.h>

#include <iterator>
#include <string_view>

#include "conf/setting_info.h"

namespace warren {
namespace {

constexpr size_t kColumns = 78;

// `text` in comment lines of at most kColumns.
void AppendComment(std::string& out, std::string_view text) {
  std::string line = "#";
  while (!text.empty()) {
    const size_t end = text.find(' ');
    const std::string_view word = text.substr(0, end);
    if (line.size() + 1 + word.size() > kColumns) {
      out += line + "\n";
      line = "#";
    }
    line += " ";
    line += word;
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  out += line + "\n";
}

std::string_view TypeName(SettingType type) {
  constexpr std::string_view kNames[] = {"switch", "number",   "octal number",
                                         "size",   "duration", "choice",
                                         "text",   "list",     "as in Redis"};
  return kNames[static_cast<size_t>(type)];
}

std::string_view ChangeText(SettingChange change) {
  switch (change) {
    case SettingChange::kStart:
      return "fixed at the start";
    case SettingChange::kReload:
      return "changes at once";
    default:
      return "changes for new connections";
  }
}

// "size, 1mb to 1tb" or "list".
std::string Accepts(const SettingInfo& info) {
  std::string text(TypeName(info.type));
  const std::string allowed = DescribeAllowed(info);
  if (!allowed.empty()) text += (info.type == SettingType::kEnum ? " " : ", ") + allowed;
  if (!info.unit.empty()) fmt::format_to(std::back_inserter(text), " {}", info.unit);
  if (info.type == SettingType::kDuration && info.bare_ms > 1) text += ", bare numbers: seconds";
  return text;
}

std::string AliasText(const SettingInfo& info, std::string_view quote) {
  std::string text;
  for (const std::string_view alias : Aliases(info)) {
    fmt::format_to(std::back_inserter(text), "{}{}{}{}", text.empty() ? "" : ", ", quote, alias,
                   quote);
  }
  return text;
}

void AppendConfigEntry(std::string& out, const SettingInfo& info) {
  AppendComment(out, info.help);
  std::string facts = fmt::format("({}; {}", Accepts(info), ChangeText(info.change));
  if (!info.aliases.empty()) facts += "; in Redis: " + AliasText(info, "");
  AppendComment(out, facts + ")");
  out += fmt::format("#{} {}\n\n", info.name, FormatSettingLine(info, Settings()));
}

// A cell of a Markdown table may not hold a bare bar.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

std::string DefaultCell(const SettingInfo& info) {
  const std::string value = FormatSetting(info, Settings());
  return value.empty() ? "(empty)" : "`" + Cell(value) + "`";
}

void AppendRow(std::string& out, const SettingInfo& info) {
  fmt::format_to(std::back_inserter(out), "| `{}` | {} | {} | {} | {} | {} |\n", info.name,
                 DefaultCell(info), Cell(Accepts(info)), ChangeName(info.change),
                 AliasText(info, "`"), Cell(info.help));
}

constexpr std::string_view kConfigHead =
    R"(# Warren's configuration. Every setting is here with its default, commented out.
#
# A line is a name and a value; a value with blanks stands in double quotes (with
# the escapes \n \r \t \b \a \\ \" and \xHH) or single quotes. `include FILE` reads
# another file, relative to this one. Of several lines for a setting the last
# counts. `--name value` on the command line overrides this file.
#
# Sizes: b, kb, mb, gb, tb count 1024s; k, m, g, t thousands. Durations: us, ms, s,
# min, h, d. In names '-' and '_' and the case of letters make no difference.
#
# After a change: `warren reload`, or SIGHUP to the postmaster.

)";

constexpr std::string_view kMarkdownHead =
    R"(# Settings

This page is made from `conf/settings_list.def` and `conf/ignored_settings_list.def` by `./dev docs`.

A setting gets its value from, each overriding the one before: its default; the configuration file (`conf/warren.conf` shows every setting); `--name value` on the command line; `CONFIG SET`. In names, `-` and `_` and the case of letters make no difference.

- **Sizes** have units: `b`, `kb`, `mb`, `gb`, `tb` count 1024s, `k`, `m`, `g`, `t` thousands; a bare number counts bytes.
- **Durations** have units: `us`, `ms`, `s`, `min`, `h`, `d`; a bare number counts milliseconds unless the row says seconds.
- **Changes** at `start`: fixed while the server runs. At `reload`: by SIGHUP or `CONFIG SET`, in every process before the reply. `session`: the same, but only for connections made from then on.
- **Reload** (SIGHUP, `warren reload`) reads the file again. A setting whose value there is another one than at the last reading takes it; what `CONFIG SET` changed otherwise stays. A file with an error changes nothing.
- **`CONFIG GET`** shows values with units under our names, and as Redis does (bare numbers of bytes or seconds) under Redis's names.
- **`CONFIG REWRITE`** brings the configuration file up to date and leaves comments and order alone. Settings given on the command line are written too.

)";

constexpr std::string_view kIgnoredHead = R"(
## Known from Redis, without effect

Tools and existing configuration files set these. They are known and kept, `CONFIG GET` gives back what was set, and they **do nothing** here. The defaults shown are those of Redis 7. A value that would promise what this server does not do is refused. Any other setting of Redis that is on neither list is an error.

| name | default | accepts | also called |
| --- | --- | --- | --- |
)";

}  // namespace

std::string DefaultConfigText() {
  std::string out(kConfigHead);
  std::string_view group;
  for (const SettingInfo& info : SettingTable()) {
    if (info.type == SettingType::kIgnored) continue;
    if (info.group != group) out += fmt::format("# ---- {} ----\n\n", info.group);
    group = info.group;
    AppendConfigEntry(out, info);
  }
  out.pop_back();
  return out;
}

std::string SettingsMarkdown() {
  std::string out(kMarkdownHead);
  std::string_view group;
  for (const SettingInfo& info : SettingTable()) {
    if (info.group != group) {
      if (info.type == SettingType::kIgnored) break;
      out +=
          fmt::format("{}## {}{}\n\n| name | default | accepts | changes at | in Redis | means |\n",
                      group.empty() ? "" : "\n", static_cast<char>(info.group[0] - 'a' + 'A'),
                      info.group.substr(1));
      out += "| --- | --- | --- | --- | --- | --- |\n";
    }
    group = info.group;
    AppendRow(out, info);
  }
  out += kIgnoredHead;
  for (const SettingInfo& info : SettingTable()) {
    if (info.type != SettingType::kIgnored) continue;
    fmt::format_to(std::back_inserter(out), "| `{}` | {} | {} | {} |\n", info.name,
                   DefaultCell(info), info.allowed.empty() ? "anything" : DescribeAllowed(info),
                   AliasText(info, "`"));
  }
  return out;
}

}  // namespace warren
