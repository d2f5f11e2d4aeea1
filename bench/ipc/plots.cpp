#include "bench/ipc/plots.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace warren::ipc {
namespace {

namespace fs = std::filesystem;

std::string Label(const Row& row) {
  std::string label = row.mechanism;
  if (!row.variant.empty()) label += ", " + row.variant;
  if (row.oversubscribed) label += " *";
  return label;
}

std::vector<std::string> MechanismsOf(const Measurement& measurement) {
  std::vector<std::string> names;
  for (const Row& row : measurement.rows) {
    if (row.figures.empty()) continue;
    if (std::find(names.begin(), names.end(), row.mechanism) == names.end()) {
      names.push_back(row.mechanism);
    }
  }
  return names;
}

void DataLine(const Measurement& measurement, const Row& row, const std::string& first,
              std::string* text) {
  const Spread& spread = row.figures[measurement.plot.column];
  fmt::format_to(std::back_inserter(*text), "{} {} {} {}\n", first, spread.median, spread.least,
                 spread.most);
}

std::string BarData(const Measurement& measurement) {
  std::string text = "# label median min max\n";
  for (const Row& row : measurement.rows) {
    if (!row.figures.empty()) DataLine(measurement, row, fmt::format("\"{}\"", Label(row)), &text);
  }
  return text;
}

// A block for each mechanism, two empty lines between them (gnuplot's `index`).
std::string LineData(const Measurement& measurement) {
  std::string text;
  for (const std::string& mechanism : MechanismsOf(measurement)) {
    fmt::format_to(std::back_inserter(text), "# {}: {} median min max\n", mechanism,
                   measurement.variant_name);
    for (const Row& row : measurement.rows) {
      if (row.mechanism == mechanism && !row.figures.empty()) {
        DataLine(measurement, row, fmt::format("{}", row.at), &text);
      }
    }
    text += "\n\n";
  }
  return text;
}

// With the place from which on there were more processes than processors.
std::string LineTitle(const Measurement& measurement, const std::string& mechanism) {
  for (const Row& row : measurement.rows) {
    if (row.mechanism != mechanism || !row.oversubscribed) continue;
    return fmt::format("{} (oversubscribed from {} on)", mechanism, row.variant);
  }
  return mechanism;
}

std::string PlotCommand(const Measurement& measurement) {
  if (measurement.plot.kind == PlotKind::kBars) {
    return fmt::format(
        "set style fill solid 0.7\nset boxwidth 0.7\nset xtics rotate by -40 noenhanced\n"
        "unset key\nset rmargin 12\nplot '{0}.dat' using 0:2:xtic(1) with boxes lc rgb '#4477aa', "
        "\\\n"
        "     '' using 0:2:3:4 with yerrorbars pt 7 ps 0 lc rgb '#222222'\n",
        measurement.name);
  }
  std::string command = "set key outside noenhanced\nplot ";
  const std::vector<std::string> names = MechanismsOf(measurement);
  for (size_t i = 0; i < names.size(); ++i) {
    fmt::format_to(std::back_inserter(command),
                   "{}'{}.dat' index {} using 1:2:3:4 with yerrorlines pt 7 title '{}'",
                   i == 0 ? "" : ", \\\n     ", measurement.name, i,
                   LineTitle(measurement, names[i]));
  }
  return command + "\n";
}

bool WriteText(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  return !file.fail();
}

// Runs `gnuplot SCRIPT` in the directory. 127: there is no gnuplot.
int RunGnuplot(const fs::path& directory, const std::string& script) {
  const pid_t pid = fork();
  if (pid < 0) return 127;
  if (pid == 0) {
    if (chdir(directory.c_str()) != 0) _exit(126);
    execlp("gnuplot", "gnuplot", script.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

}  // namespace

std::string PlotData(const Measurement& measurement) {
  return measurement.plot.kind == PlotKind::kBars ? BarData(measurement) : LineData(measurement);
}

std::string PlotScript(const Measurement& measurement) {
  const Column& column = measurement.columns[measurement.plot.column];
  const bool bars = measurement.plot.kind == PlotKind::kBars;
  std::string script =
      fmt::format("set title \"{}{}\" noenhanced\nset ylabel '{}'\nset grid ytics\n",
                  measurement.title, bars ? " (*: oversubscribed)" : "", column.name);
  if (!measurement.plot.x_label.empty()) {
    script += fmt::format("set xlabel '{}'\n", measurement.plot.x_label);
  }
  if (measurement.plot.log_x) script += "set logscale x 2\n";
  script += measurement.plot.log_y ? "set logscale y\n" : "set yrange [0:*]\n";
  script += fmt::format("set terminal svg size 1100,700 background 'white'\nset output '{}.svg'\n",
                        measurement.name);
  script += PlotCommand(measurement);
  script += fmt::format("set terminal pngcairo size 1100,700\nset output '{}.png'\nreplot\n",
                        measurement.name);
  return script;
}

Result<std::string> WritePlots(const std::vector<Measurement>& measured,
                               const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return MakeError(ErrorCode::kIo, "\"{}\": {}", directory, error.message());
  bool drawn = true;
  for (const Measurement& measurement : measured) {
    const std::string script = measurement.name + ".gp";
    if (MechanismsOf(measurement).empty()) continue;  // nothing to draw
    if (!WriteText(fs::path(directory) / (measurement.name + ".dat"), PlotData(measurement)) ||
        !WriteText(fs::path(directory) / script, PlotScript(measurement))) {
      return MakeError(ErrorCode::kIo, "\"{}\": {}", directory, std::strerror(errno));
    }
    const int code = drawn ? RunGnuplot(directory, script) : 127;
    if (code == 127) drawn = false;
    if (code != 0 && code != 127) {
      return MakeError(ErrorCode::kGeneric, "gnuplot could not draw \"{}/{}\"", directory, script);
    }
  }
  if (drawn) return fmt::format("pictures are in {}", directory);
  return fmt::format("gnuplot is not installed: {} holds scripts and data, but no pictures",
                     directory);
}

}  // namespace warren::ipc
