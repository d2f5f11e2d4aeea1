#include <fmt/format.h>

#include <algorithm>

#include "bench/ipc/report.h"

namespace warren::ipc {
namespace {

using Line = std::vector<std::string>;

size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;  // not a byte that continues a character
  }));
}

// Columns under each other; those of `right` are pushed to the right.
std::string Aligned(const std::vector<Line>& lines, const std::vector<bool>& right) {
  std::vector<size_t> widths(right.size(), 0);
  for (const Line& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], Width(line[i]));
  }
  std::string text;
  for (const Line& line : lines) {
    std::string shown;
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string padding(widths[i] - Width(line[i]), ' ');
      shown += (i == 0 ? "  " : "   ") + (right[i] ? padding + line[i] : line[i] + padding);
    }
    shown.erase(shown.find_last_not_of(' ') + 1);
    text += shown + "\n";
  }
  return text;
}

template <typename Condition>
bool Any(const Measurement& measurement, Condition condition) {
  return std::any_of(measurement.rows.begin(), measurement.rows.end(), condition);
}

std::string Remark(const Row& row) {
  if (!row.unavailable.empty()) return "not available: " + row.unavailable;
  std::string remark = row.outcome;
  if (row.oversubscribed) remark += remark.empty() ? "oversubscribed" : "; oversubscribed";
  return remark;
}

}  // namespace

std::string MachineText(const Report& report) {
  std::vector<Line> lines;
  for (const auto& [name, text] : report.machine.facts) lines.push_back({name, text});
  lines.push_back({"rounds", fmt::format("{}{}; medians, ± half the distance of the extremes",
                                         report.rounds, report.quick ? ", quick" : "")});
  return Aligned(lines, {false, false});
}

std::string MeasurementText(const Measurement& measurement) {
  const bool references = Any(measurement, [](const Row& row) { return !row.reference.empty(); });
  Line heads = {"mechanism", measurement.variant_name};
  std::vector<bool> right = {false, false};
  for (const Column& column : measurement.columns) {
    heads.push_back(column.name);
    right.push_back(true);
  }
  if (references) {
    heads.push_back("starting text");
    right.push_back(true);
  }
  heads.push_back("");  // remarks
  right.push_back(false);
  std::vector<Line> lines = {heads};
  for (const Row& row : measurement.rows) {
    Line line = {row.mechanism, row.variant};
    for (size_t i = 0; i < measurement.columns.size(); ++i) {
      line.push_back(row.figures.empty()
                         ? "-"
                         : FormatSpread(row.figures[i], measurement.columns[i].decimals));
    }
    if (references) line.push_back(row.reference);
    line.push_back(Remark(row));
    lines.push_back(line);
  }
  std::string text = fmt::format("== {}: {}\n", measurement.name, measurement.title);
  for (const std::string& note : measurement.notes) text += "  " + note + "\n";
  return text + Aligned(lines, right);
}

std::string VerdictText(const Verdict& verdict) {
  std::string text = "== verdict, from the figures above; oversubscribed rows take no part\n";
  if (!verdict.table.empty()) {
    std::vector<Line> lines = {verdict.heads};
    lines.insert(lines.end(), verdict.table.begin(), verdict.table.end());
    text +=
        "  At this rate, the least processor time among those that sleep while there is nothing; "
        "if none can, the least of those that spin:\n";
    text += Aligned(lines, std::vector<bool>(verdict.heads.size(), false));
  }
  for (const std::string& sentence : verdict.sentences) text += "  " + sentence + "\n";
  return text;
}

}  // namespace warren::ipc
