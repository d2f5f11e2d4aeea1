// How far is it? For people who wait.
//
// On a terminal one line that is drawn again and again; else a line at the start of each step and
// one per tenth of a long one. Always on standard error.
#pragma once

#include <cstdint>
#include <string>

namespace warren {

class Progress {
 public:
  Progress();
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // A step whose end is `total` bytes away; 0: nobody knows.
  void Begin(const std::string& step, uint64_t total);
  void Advance(uint64_t bytes);

  // A line by itself.
  void Say(const std::string& line);

 private:
  void Draw();
  void ClearLine();

  bool terminal_;
  bool drawn_ = false;
  std::string step_;
  uint64_t total_ = 0;
  uint64_t done_ = 0;
  int64_t began_ns_ = 0;
  int64_t next_draw_ns_ = 0;
  uint64_t next_tenth_ = 0;
};

}  // namespace warren
