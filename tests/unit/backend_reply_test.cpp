#include "backend/reply.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

namespace warren {
namespace {

std::string In(int version, const std::function<void(Reply&)>& write) {
  std::string out;
  Reply reply(&out);
  reply.set_resp_version(version);
  write(reply);
  return out;
}

// In RESP2 and RESP3, separated by a bar.
std::string Both(const std::function<void(Reply&)>& write) {
  return In(2, write) + "|" + In(3, write);
}

TEST_CASE("types of both versions look the same in both") {
  CHECK(Both([](Reply& r) { r.Simple("PONG"); }) == "+PONG\r\n|+PONG\r\n");
  CHECK(Both([](Reply& r) { r.Ok(); }) == "+OK\r\n|+OK\r\n");
  CHECK(Both([](Reply& r) { r.Integer(-12); }) == ":-12\r\n|:-12\r\n");
  CHECK(In(2, [](Reply& r) { r.Integer(std::numeric_limits<int64_t>::min()); }) ==
        ":-9223372036854775808\r\n");
  CHECK(Both([](Reply& r) { r.Bulk("a\r\nb"); }) == "$4\r\na\r\nb\r\n|$4\r\na\r\nb\r\n");
  CHECK(Both([](Reply& r) { r.Bulk(""); }) == "$0\r\n\r\n|$0\r\n\r\n");
  CHECK(Both([](Reply& r) { r.Array(3); }) == "*3\r\n|*3\r\n");
}

TEST_CASE("types of RESP3 fall back to those of RESP2") {
  CHECK(Both([](Reply& r) { r.Null(); }) == "$-1\r\n|_\r\n");
  CHECK(Both([](Reply& r) { r.NullArray(); }) == "*-1\r\n|_\r\n");
  CHECK(Both([](Reply& r) { r.Map(2); }) == "*4\r\n|%2\r\n");
  CHECK(Both([](Reply& r) { r.Set(2); }) == "*2\r\n|~2\r\n");
  CHECK(Both([](Reply& r) { r.Push(2); }) == "*2\r\n|>2\r\n");
  CHECK(Both([](Reply& r) { r.Boolean(true); }) == ":1\r\n|#t\r\n");
  CHECK(Both([](Reply& r) { r.Boolean(false); }) == ":0\r\n|#f\r\n");
  CHECK(Both([](Reply& r) { r.Verbatim("txt", "hello"); }) ==
        "$5\r\nhello\r\n|=9\r\ntxt:hello\r\n");
  CHECK(Both([](Reply& r) { r.BigNumber("12345"); }) == "$5\r\n12345\r\n|(12345\r\n");
}

TEST_CASE("doubles have 17 significant digits") {
  CHECK(Both([](Reply& r) { r.Double(1.5); }) == "$3\r\n1.5\r\n|,1.5\r\n");
  CHECK(In(3, [](Reply& r) { r.Double(0.1); }) == ",0.10000000000000001\r\n");
  CHECK(In(3, [](Reply& r) { r.Double(3); }) == ",3\r\n");
  CHECK(In(3, [](Reply& r) { r.Double(1e100); }) == ",1e+100\r\n");
  CHECK(Both([](Reply& r) { r.Double(INFINITY); }) == "$3\r\ninf\r\n|,inf\r\n");
  CHECK(Both([](Reply& r) { r.Double(-INFINITY); }) == "$4\r\n-inf\r\n|,-inf\r\n");
  CHECK(Both([](Reply& r) { r.Double(NAN); }) == "$3\r\nnan\r\n|,nan\r\n");
}

TEST_CASE("an error is one line and marks the command as failed") {
  std::string out;
  Reply reply(&out);
  CHECK(!reply.failed());
  reply.Error("ERR a\r\nb");
  CHECK(out == "-ERR a  b\r\n");
  CHECK(reply.failed());
  reply.BeginCommand();
  CHECK(!reply.failed());
}

TEST_CASE("a container can get its length at its end") {
  const auto nested = [](Reply& r) {
    r.Integer(1);
    const size_t outer = r.Mark();
    r.Integer(2);
    const size_t inner = r.Mark();
    r.Integer(3);
    r.Integer(4);
    r.CloseMap(inner, 1);
    r.CloseArray(outer, 2);
    const size_t set = r.Mark();
    r.CloseSet(set, 0);
  };
  CHECK(In(2, nested) == ":1\r\n*2\r\n:2\r\n*2\r\n:3\r\n:4\r\n*0\r\n");
  CHECK(In(3, nested) == ":1\r\n*2\r\n:2\r\n%1\r\n:3\r\n:4\r\n~0\r\n");
}

TEST_CASE("replies beyond the limit are dropped and said to be") {
  std::string out;
  Reply reply(&out);
  reply.set_limit(20);
  reply.Bulk("0123456789");
  CHECK(!reply.overflowed());
  reply.Bulk("0123456789");
  CHECK(reply.overflowed());
  reply.Integer(1);
  CHECK(out == "$10\r\n0123456789\r\n");
}

}  // namespace
}  // namespace warren
