#include "backend/reply.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "shmem/stats.h"

namespace warren {
namespace {

// A type byte, a number and CR LF, without the heap.
class HeaderText {
 public:
  template <typename Number>
  HeaderText(char type, Number value) {
    bytes_[0] = type;
    char* end = std::to_chars(bytes_ + 1, bytes_ + sizeof(bytes_) - 2, value).ptr;
    *end++ = '\r';
    *end++ = '\n';
    size_ = static_cast<size_t>(end - bytes_);
  }
  std::string_view view() const { return {bytes_, size_}; }

 private:
  char bytes_[24];
  size_t size_;
};

// As Redis prints doubles: 17 significant digits, "inf", "-inf", "nan".
std::string_view FormatDouble(double value, char (&buffer)[40]) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  const int n = snprintf(buffer, sizeof(buffer), "%.17g", value);
  return {buffer, static_cast<size_t>(n)};
}

}  // namespace

bool Reply::Fits(size_t bytes) {
  if (out_->size() + bytes <= limit_ && !overflowed_) return true;
  overflowed_ = true;
  return false;
}

void Reply::Append(std::string_view bytes) {
  if (Fits(bytes.size())) out_->append(bytes);
}

void Reply::Header(char type, uint64_t value) { Append(HeaderText(type, value).view()); }

void Reply::InsertHeader(size_t mark, char type, uint64_t value) {
  const HeaderText header(type, value);
  if (Fits(header.view().size())) out_->insert(mark, header.view());
}

void Reply::Simple(std::string_view text) {
  Append("+");
  Append(text);
  Append("\r\n");
}

void Reply::Error(std::string_view text) {
  failed_ = true;
  Stats::AddError(text);
  std::string line;
  line.reserve(text.size() + 3);
  line += '-';
  for (char c : text) line += c == '\r' || c == '\n' ? ' ' : c;
  line += "\r\n";
  Append(line);
}

void Reply::Integer(int64_t value) { Append(HeaderText(':', value).view()); }

void Reply::Bulk(std::string_view bytes) {
  const HeaderText header('$', bytes.size());
  if (!Fits(header.view().size() + bytes.size() + 2)) return;
  out_->append(header.view());
  out_->append(bytes);
  out_->append("\r\n", 2);
}

void Reply::Null() { Append(resp3_ ? "_\r\n" : "$-1\r\n"); }
void Reply::NullArray() { Append(resp3_ ? "_\r\n" : "*-1\r\n"); }
void Reply::Array(size_t count) { Header('*', count); }
void Reply::Map(size_t pairs) { resp3_ ? Header('%', pairs) : Header('*', pairs * 2); }
void Reply::Set(size_t count) { Header(resp3_ ? '~' : '*', count); }
void Reply::Push(size_t count) { Header(resp3_ ? '>' : '*', count); }

void Reply::Double(double value) {
  char buffer[40];
  const std::string_view digits = FormatDouble(value, buffer);
  if (!resp3_) return Bulk(digits);
  Append(",");
  Append(digits);
  Append("\r\n");
}

void Reply::Boolean(bool value) {
  if (!resp3_) return Integer(value ? 1 : 0);
  Append(value ? "#t\r\n" : "#f\r\n");
}

void Reply::Verbatim(std::string_view format, std::string_view text) {
  if (!resp3_) return Bulk(text);
  Header('=', format.size() + 1 + text.size());
  Append(format);
  Append(":");
  Append(text);
  Append("\r\n");
}

void Reply::BigNumber(std::string_view digits) {
  if (!resp3_) return Bulk(digits);
  Append("(");
  Append(digits);
  Append("\r\n");
}

void Reply::CloseArray(size_t mark, size_t count) { InsertHeader(mark, '*', count); }
void Reply::CloseMap(size_t mark, size_t pairs) {
  resp3_ ? InsertHeader(mark, '%', pairs) : InsertHeader(mark, '*', pairs * 2);
}
void Reply::CloseSet(size_t mark, size_t count) { InsertHeader(mark, resp3_ ? '~' : '*', count); }

}  // namespace warren
