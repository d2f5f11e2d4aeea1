#include <nlohmann/json.hpp>

#include "bench/ipc/report.h"

namespace warren::ipc {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormatVersion = 1;

Json FiguresJson(const Measurement& measurement, const Row& row) {
  Json figures = Json::object();
  for (size_t i = 0; i < row.figures.size(); ++i) {
    const Spread& spread = row.figures[i];
    figures[measurement.columns[i].name] = {
        {"median", spread.median}, {"min", spread.least}, {"max", spread.most}};
  }
  return figures;
}

Json RowJson(const Measurement& measurement, const Row& row) {
  Json json = {{"mechanism", row.mechanism},
               {measurement.variant_name, row.variant},
               {"processes", row.processes},
               {"oversubscribed", row.oversubscribed},
               {"available", row.unavailable.empty()}};
  if (!row.unavailable.empty()) json["reason"] = row.unavailable;
  if (!row.outcome.empty()) json["outcome"] = row.outcome;
  if (!row.reference.empty()) json["starting_text"] = row.reference;
  json["figures"] = FiguresJson(measurement, row);
  return json;
}

Json MeasurementJson(const Measurement& measurement) {
  Json columns = Json::array();
  for (const Column& column : measurement.columns) {
    columns.push_back({{"name", column.name}, {"unit", column.unit}});
  }
  Json rows = Json::array();
  for (const Row& row : measurement.rows) rows.push_back(RowJson(measurement, row));
  return {{"name", measurement.name},
          {"title", measurement.title},
          {"notes", measurement.notes},
          {"columns", columns},
          {"rows", rows}};
}

}  // namespace

std::string ReportJson(const Report& report) {
  Json machine = Json::object();
  for (const auto& [name, text] : report.machine.facts) machine[name] = text;
  Json measured = Json::array();
  for (const Measurement& one : report.measured) measured.push_back(MeasurementJson(one));
  const Json json = {
      {"format", kFormatVersion},
      {"machine", machine},
      {"rounds", report.rounds},
      {"quick", report.quick},
      {"measurements", measured},
      {"verdict",
       {{"heads", report.verdict.heads},
        {"table", report.verdict.table},
        {"sentences", report.verdict.sentences}}},
  };
  return json.dump(2) + "\n";
}

}  // namespace warren::ipc
