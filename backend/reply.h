// How does a reply look on the wire, in RESP2 and RESP3?
//
// Appends to a byte buffer; the session sends it. One call per element; containers announce their
// length first, or are closed with it where it is not known before. The RESP3-only types fall back
// to their RESP2 form as in Redis 7.
//
// Limits: once the buffer has reached its limit further bytes are dropped and overflowed() is true;
// the session then closes the connection. A command with a reply of unbounded size may look at it
// to stop early.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace warren {

class Reply {
 public:
  explicit Reply(std::string* out) : out_(out) {}

  void set_resp_version(int version) { resp3_ = version == 3; }
  bool resp3() const { return resp3_; }
  std::string& out() { return *out_; }

  void Simple(std::string_view text);  // +OK
  void Ok() { Append("+OK\r\n"); }
  // "ERR unknown command ..." with its prefix, without CR or LF (they are made spaces). Counts the
  // error (Stats::AddError) and marks the command as failed.
  void Error(std::string_view text);
  void Integer(int64_t value);        // :1
  void Bulk(std::string_view bytes);  // $3
  void Null();                        // RESP2 $-1, RESP3 _
  void NullArray();                   // RESP2 *-1, RESP3 _
  void Array(size_t count);
  void Map(size_t pairs);                                         // RESP2: array of 2 * pairs
  void Set(size_t count);                                         // RESP2: array
  void Push(size_t count);                                        // RESP2: array
  void Double(double value);                                      // RESP2: bulk
  void Boolean(bool value);                                       // RESP2: integer 0/1
  void Verbatim(std::string_view format, std::string_view text);  // RESP2: bulk; format "txt"
  void BigNumber(std::string_view digits);                        // RESP2: bulk

  // A container whose length is known only at its end: everything appended since `mark` is its
  // content. Moves those bytes once.
  size_t Mark() const { return out_->size(); }
  void CloseArray(size_t mark, size_t count);
  void CloseMap(size_t mark, size_t pairs);
  void CloseSet(size_t mark, size_t count);

  bool failed() const { return failed_; }  // did this command answer with an error?
  void BeginCommand() { failed_ = false; }

  // Most bytes the buffer may hold; 0 for no limit.
  void set_limit(size_t bytes) { limit_ = bytes == 0 ? SIZE_MAX : bytes; }
  bool overflowed() const { return overflowed_; }

 private:
  bool Fits(size_t bytes);
  void Append(std::string_view bytes);
  void Header(char type, uint64_t value);
  void InsertHeader(size_t mark, char type, uint64_t value);

  std::string* out_;
  size_t limit_ = SIZE_MAX;
  bool resp3_ = false;
  bool failed_ = false;
  bool overflowed_ = false;
};

}  // namespace warren
