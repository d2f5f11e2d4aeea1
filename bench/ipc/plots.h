// How do the figures become pictures?
//
// For each measurement NAME.dat (the figures), NAME.gp (a gnuplot script that reads them) and,
// where gnuplot is installed, NAME.svg and NAME.png, drawn by it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "bench/ipc/figures.h"

namespace warren::ipc {

// The texts of the two files.
std::string PlotData(const Measurement& measurement);
std::string PlotScript(const Measurement& measurement);

// Makes the directory if need be. Returns what there is to say about it: where the pictures are, or
// that there are none without gnuplot.
Result<std::string> WritePlots(const std::vector<Measurement>& measured,
                               const std::string& directory);

}  // namespace warren::ipc
