#include "backend/protocol.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace warren {
namespace {

using Request = std::vector<std::string>;
using Outcome = RequestParser::Outcome;

// What a parser makes of some bytes that arrive in pieces.
struct Parsed {
  std::vector<Request> requests;
  std::string error;
  friend bool operator==(const Parsed&, const Parsed&) = default;
};

class Feeder {
 public:
  enum class Taking : bool { kNext, kPeeked };
  explicit Feeder(RequestLimits limits = {}, Taking taking = Taking::kNext)
      : limits_(limits), taking_(taking == Taking::kPeeked) {}

  void Feed(std::string_view bytes) {
    while (!bytes.empty() && parsed_.error.empty()) {
      const std::span<char> space = parser_.WritableSpace();
      REQUIRE(!space.empty());
      const size_t n = std::min(space.size(), bytes.size());
      memcpy(space.data(), bytes.data(), n);
      parser_.Received(n);
      bytes.remove_prefix(n);
      Take();
    }
  }
  const Parsed& parsed() const { return parsed_; }
  RequestParser& parser() { return parser_; }

 private:
  void Take() {
    for (;;) {
      const Outcome outcome = parser_.Next(limits_);
      if (outcome == Outcome::kError) parsed_.error = parser_.error();
      if (outcome != Outcome::kRequest) return;
      parsed_.requests.emplace_back(parser_.args().begin(), parser_.args().end());
      if (taking_) TakePeeked();
    }
  }

  // Some of those that are peeked are taken without being parsed again, or skipped so.
  void TakePeeked() {
    PeekedRequest peeked[3];
    const size_t found = parser_.Peek(limits_, peeked);
    const auto first = std::span(peeked).first(found);
    const auto end = std::ranges::find_if_not(first, &PeekedRequest::complete);
    const auto count = static_cast<size_t>(end - first.begin());
    for (size_t i = 0; i < count; ++i) {
      const Args args = peeked[i].args();
      parsed_.requests.emplace_back(args.begin(), args.end());
      if (i % 2 == 1 || i + 1 == count) parser_.Take(peeked[i]);
    }
  }

  RequestLimits limits_;
  bool taking_;
  RequestParser parser_;
  Parsed parsed_;
};

Parsed ParseWhole(std::string_view bytes, RequestLimits limits = {}) {
  Feeder feeder(limits);
  feeder.Feed(bytes);
  return feeder.parsed();
}

std::string ErrorOf(std::string_view bytes, RequestLimits limits = {}) {
  return ParseWhole(bytes, limits).error;
}

std::string Multibulk(const Request& request) {
  std::string bytes = fmt::format("*{}\r\n", request.size());
  for (const std::string& word : request) bytes += fmt::format("${}\r\n{}\r\n", word.size(), word);
  return bytes;
}

const std::string kMixture = std::string("*1\r\n$4\r\nPING\r\n") + "PING\r\n" + "\r\n" + "*0\r\n" +
                             "*-1\r\n" + "SET key \"a \\\"b\\\" \\x41\\n\" 'it\\'s'\n" +
                             "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\n\r\n$1\r\r\n" +
                             "  GET   key  \r\n" + "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";

const std::vector<Request> kMixtureRequests = {
    {"PING"},       {"PING"},      {"SET", "key", "a \"b\" A\n", "it's"}, {"SET", "", "\r\n$1\r"},
    {"GET", "key"}, {"GET", "key"}};

TEST_CASE("requests of both forms follow each other in any order") {
  const Parsed parsed = ParseWhole(kMixture);
  CHECK(parsed.error == "");
  CHECK(parsed.requests == kMixtureRequests);
}

TEST_CASE("requests are the same wherever the bytes are cut") {
  for (size_t first = 0; first <= kMixture.size(); ++first) {
    for (size_t second = first; second <= kMixture.size(); second += 7) {
      Feeder feeder;
      feeder.Feed(std::string_view(kMixture).substr(0, first));
      feeder.Feed(std::string_view(kMixture).substr(first, second - first));
      feeder.Feed(std::string_view(kMixture).substr(second));
      REQUIRE(feeder.parsed() == Parsed{kMixtureRequests, ""});
      REQUIRE(feeder.parser().PendingBytes() == 0);
    }
  }
}

TEST_CASE("requests are the same when they come byte by byte") {
  Feeder feeder;
  for (char c : kMixture) feeder.Feed({&c, 1});
  CHECK(feeder.parsed() == Parsed{kMixtureRequests, ""});
}

TEST_CASE("an error comes at the same place wherever the bytes are cut") {
  const std::string bytes = "*1\r\n$4\r\nPING\r\n*1\r\n!4\r\nPING\r\n";
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Feeder feeder;
    feeder.Feed(std::string_view(bytes).substr(0, cut));
    feeder.Feed(std::string_view(bytes).substr(cut));
    REQUIRE(feeder.parsed() == Parsed{{{"PING"}}, "Protocol error: expected '$', got '!'"});
  }
}

TEST_CASE("counts and lengths are refused with Redis's texts") {
  const std::string count = "Protocol error: invalid multibulk length";
  CHECK(ErrorOf("*1048577\r\n") == count);
  CHECK(ErrorOf("*2147483648\r\n") == count);
  CHECK(ErrorOf("*99999999999999999999\r\n") == count);
  CHECK(ErrorOf("*\r\n") == count);
  CHECK(ErrorOf("*1 \r\n") == count);
  CHECK(ErrorOf("*+1\r\n") == count);
  CHECK(ErrorOf("*01\r\n") == count);
  CHECK(ErrorOf("*1x\r\n") == count);
  CHECK(ErrorOf("*1048576\r\n") == "");

  const std::string bulk = "Protocol error: invalid bulk length";
  CHECK(ErrorOf("*1\r\n$-1\r\n") == bulk);
  CHECK(ErrorOf("*1\r\n$x\r\n") == bulk);
  CHECK(ErrorOf("*1\r\n$\r\n") == bulk);
  CHECK(ErrorOf("*1\r\n$9223372036854775808\r\n") == bulk);
  CHECK(ErrorOf("*1\r\n$101\r\n", {.bulk_bytes = 100}) == bulk);
  CHECK(ErrorOf("*1\r\n$100\r\n", {.bulk_bytes = 100}) == "");

  CHECK(ErrorOf("*1\r\n:5\r\n") == "Protocol error: expected '$', got ':'");
}

TEST_CASE("lines have a greatest length") {
  const std::string long_line(kMaxLineBytes + 1, 'x');
  CHECK(ErrorOf(long_line) == "Protocol error: too big inline request");
  CHECK(ErrorOf(long_line + "\r\n") == "Protocol error: too big inline request");
  CHECK(ErrorOf("*" + long_line) == "Protocol error: too big mbulk count string");
  CHECK(ErrorOf("*1\r\n$" + long_line) == "Protocol error: too big bulk count string");
  const Parsed parsed = ParseWhole(std::string(kMaxLineBytes, 'x') + "\n");
  CHECK(parsed.error == "");
  REQUIRE(parsed.requests.size() == 1);
  CHECK(parsed.requests[0][0].size() == kMaxLineBytes);
}

TEST_CASE("quotes of an inline request must be closed and stand apart") {
  const std::string error = "Protocol error: unbalanced quotes in request";
  CHECK(ErrorOf("SET a \"b\r\n") == error);
  CHECK(ErrorOf("SET a 'b\r\n") == error);
  CHECK(ErrorOf("SET a \"b\"c\r\n") == error);
  CHECK(ErrorOf("SET a \"\"\r\n") == "");
}

TEST_CASE("before authentication requests are kept small") {
  const RequestLimits limits{.authenticated = false};
  CHECK(ErrorOf("*11\r\n", limits) == "Protocol error: unauthenticated multibulk length");
  CHECK(ErrorOf("*10\r\n", limits) == "");
  CHECK(ErrorOf("*1\r\n$16385\r\n", limits) == "Protocol error: unauthenticated bulk length");
  CHECK(ErrorOf("*1\r\n$16384\r\n", limits) == "");
}

TEST_CASE("a request longer than the query limit is refused when its length is known") {
  const RequestLimits limits{.query_bytes = 1000};
  const std::string error = "Protocol error: client query buffer limit exceeded";
  CHECK(ErrorOf("*2\r\n$3\r\nGET\r\n$2000\r\n", limits) == error);
  const std::string many = "*1000\r\n" + Multibulk(Request(300, "xxxx")).substr(6);
  CHECK(ErrorOf(many, limits) == error);
}

TEST_CASE("a parser that met an error stays in error") {
  Feeder feeder;
  feeder.Feed("*x\r\n");
  CHECK(feeder.parser().Next({}) == Outcome::kError);
  CHECK(feeder.parser().Next({}) == Outcome::kError);
}

TEST_CASE("long arguments arrive whole, in one request with others and one after another") {
  std::string a(100'000, 'a');
  std::string b(3'000'000, 'b');
  for (size_t i = 0; i < b.size(); i += 1000) b[i] = '\r';
  const Request request = {"MSET", "a", a, "b", b, "c", "short"};
  const std::string bytes = Multibulk(request) + Multibulk({"PING"}) + Multibulk(request);
  for (const size_t piece : {size_t{1000}, size_t{65536}, bytes.size()}) {
    Feeder feeder;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      feeder.Feed(std::string_view(bytes).substr(at, piece));
    }
    CHECK(feeder.parsed().error == "");
    REQUIRE(feeder.parsed().requests.size() == 3);
    CHECK(feeder.parsed().requests[0] == request);
    CHECK(feeder.parsed().requests[1] == Request{"PING"});
    CHECK(feeder.parsed().requests[2] == request);
  }
}

TEST_CASE("memory taken for a long request is given back") {
  Feeder feeder;
  const size_t small = feeder.parser().Capacity();
  CHECK(small <= 16 * 1024);
  feeder.Feed(Multibulk({"SET", "k", std::string(5'000'000, 'v')}) + "*1\r\n$4\r\nPI");
  CHECK(feeder.parser().Capacity() > 5'000'000);
  feeder.parser().Shrink();
  CHECK(feeder.parser().Capacity() == small);
  feeder.Feed("NG\r\n");
  REQUIRE(feeder.parsed().requests.size() == 2);
  CHECK(feeder.parsed().requests[1] == Request{"PING"});
}

TEST_CASE("a promised length alone takes no more than its place") {
  Feeder feeder;
  feeder.Feed("*1048576\r\n");
  CHECK(feeder.parser().Capacity() <= 16 * 1024);
}

TEST_CASE("many requests in one piece are all found, the last cut one later") {
  std::string bytes;
  for (int i = 0; i < 5000; ++i) bytes += Multibulk({"SET", fmt::format("key:{}", i), "value"});
  Feeder feeder;
  feeder.Feed(std::string_view(bytes).substr(0, bytes.size() - 3));
  CHECK(feeder.parsed().requests.size() == 4999);
  feeder.Feed(std::string_view(bytes).substr(bytes.size() - 3));
  REQUIRE(feeder.parsed().requests.size() == 5000);
  CHECK(feeder.parsed().requests[4999] == Request{"SET", "key:4999", "value"});
}

// What is peeked behind the first request.
std::vector<std::string> PeekedBehindFirst(const std::string& bytes, size_t most,
                                           const RequestLimits& limits = {}) {
  RequestParser parser;
  const std::span<char> space = parser.WritableSpace();
  REQUIRE(space.size() >= bytes.size());
  memcpy(space.data(), bytes.data(), bytes.size());
  parser.Received(bytes.size());
  REQUIRE(parser.Next({}) == Outcome::kRequest);
  std::vector<PeekedRequest> requests(most);
  const size_t found = parser.Peek(limits, requests);
  REQUIRE(found <= most);
  std::vector<std::string> keys;
  for (const PeekedRequest& request : std::span(requests).first(found)) {
    keys.emplace_back(request.count > 1 ? request.arguments[1] : "");
  }
  return keys;
}

TEST_CASE("the keys of the requests behind the present one are seen as far as those are whole") {
  const std::string ping = Multibulk({"PING"}), get = Multibulk({"GET", "of the get"});
  const std::string set = Multibulk({"SET", "of the set", "value"});
  using Keys = std::vector<std::string>;
  CHECK(PeekedBehindFirst(ping, 4).empty());
  CHECK(PeekedBehindFirst(ping + get + ping + set, 4) == Keys{"of the get", "", "of the set"});
  CHECK(PeekedBehindFirst(ping + get + set + get, 2) == Keys{"of the get", "of the set"});
  CHECK(PeekedBehindFirst("PING\r\n" + set, 4) == Keys{"of the set"});
  CHECK(PeekedBehindFirst(ping + get + "PING\r\n" + set, 4) == Keys{"of the get"});
  CHECK(PeekedBehindFirst(ping + get + "*2\r\n$x\r\n", 4) == Keys{"of the get"});
  for (size_t cut = 1; cut <= set.size(); ++cut) {
    CHECK(PeekedBehindFirst(ping + get + set.substr(0, set.size() - cut), 4) == Keys{"of the get"});
  }
  CHECK(PeekedBehindFirst(ping + get + "*0\r\n" + set, 4) == Keys{"of the get"});
}

TEST_CASE("what the limits may be against is not peeked") {
  const std::string ping = Multibulk({"PING"}), mget = Multibulk({"MGET", "a", "b", "c"});
  CHECK(PeekedBehindFirst(ping + mget, 4).size() == 1);
  CHECK(PeekedBehindFirst(ping + mget, 4, {.authenticated = false}).empty());
  CHECK(PeekedBehindFirst(ping + mget, 4, {.bulk_bytes = 9999}).empty());
  CHECK(PeekedBehindFirst(ping + mget, 4, {.query_bytes = mget.size()}).empty());
}

TEST_CASE("requests are the same when they are peeked and then taken") {
  std::string bytes;
  std::vector<Request> requests;
  for (size_t i = 0; i < 200; ++i) {
    Request request{"MSET"};
    for (size_t j = 0; j < i % 5; ++j) request.push_back(std::string(i * j % 13, 'x'));
    bytes += i % 17 == 0 ? "PING\r\n*0\r\n" : Multibulk(request);
    requests.push_back(i % 17 == 0 ? Request{"PING"} : request);
  }
  for (size_t piece = 1; piece < bytes.size(); piece = piece * 3 / 2 + 1) {
    Feeder feeder({}, Feeder::Taking::kPeeked);
    for (size_t at = 0; at < bytes.size(); at += piece) {
      feeder.Feed(std::string_view(bytes).substr(at, piece));
    }
    REQUIRE(feeder.parsed() == Parsed{requests, ""});
    REQUIRE(feeder.parser().PendingBytes() == 0);
  }
}

TEST_CASE("any bytes end in requests, an error, or a wait for more") {
  uint64_t state = 88172645463325252ull;
  const std::string letters = "*$\r\n0123456789-\"'\\xPINGSET ";
  for (int round = 0; round < 3000; ++round) {
    std::string bytes;
    for (int i = 0; i < 200; ++i) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      bytes += state % 11 == 0 ? static_cast<char>(state >> 32) : letters[state % letters.size()];
    }
    const Parsed whole = ParseWhole(bytes);
    Feeder taking({}, Feeder::Taking::kPeeked);
    taking.Feed(bytes);
    REQUIRE(taking.parsed() == whole);
    Feeder feeder;
    for (char c : bytes) feeder.Feed({&c, 1});
    REQUIRE(feeder.parsed() == whole);
  }
}

}  // namespace
}  // namespace warren
