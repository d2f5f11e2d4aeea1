// Are scenario files read as README.md says, and do expected replies match what they should?
#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/isolation/scenario.h"

namespace warren::test {
namespace {

Reply Of(Reply::Type type, std::string text = {}, int64_t integer = 0) {
  Reply reply;
  reply.type = type;
  reply.text = std::move(text);
  reply.integer = integer;
  return reply;
}

Reply Array(std::vector<Reply> elements) {
  Reply reply = Of(Reply::kArray);
  reply.elements = std::move(elements);
  return reply;
}

bool Fits(std::string_view expectation, const Reply& reply) {
  Variables none;
  return Expectation::Parse(expectation).Matches(reply, none);
}

std::string ErrorIn(std::string_view text) {
  try {
    Scenario::Parse("file", text);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("an expected reply fits its own kind alone") {
  CHECK(Fits("OK", Of(Reply::kStatus, "OK")));
  CHECK_FALSE(Fits("OK", Of(Reply::kString, "OK")));
  CHECK(Fits("\"a b\"", Of(Reply::kString, "a b")));
  CHECK_FALSE(Fits("\"1\"", Of(Reply::kInteger, "", 1)));
  CHECK(Fits("-1", Of(Reply::kInteger, "", -1)));
  CHECK_FALSE(Fits("0", Of(Reply::kNil)));
  CHECK(Fits("nil", Of(Reply::kNil)));
  CHECK_FALSE(Fits("*", Of(Reply::kClosed)));
  CHECK(Fits("closed", Of(Reply::kClosed)));
}

TEST_CASE("an expected error is a beginning with stars") {
  const Reply error = Of(Reply::kError, "DEADLOCK client 3 waits for X on key \"x\"");
  CHECK(Fits("-DEADLOCK", error));
  CHECK(Fits("-DEADLOCK *key \"x\"", error));
  CHECK_FALSE(Fits("-DEADLOCK *key \"y\"", error));
  CHECK_FALSE(Fits("-LOCKTIMEOUT", error));
}

TEST_CASE("expected arrays are compared element by element, or in any order") {
  const Reply reply =
      Array({Of(Reply::kInteger, "", 1), Of(Reply::kNil), Array({Of(Reply::kString, "x")})});
  CHECK(Fits("[1 nil [\"x\"]]", reply));
  CHECK_FALSE(Fits("[nil 1 [\"x\"]]", reply));
  CHECK(Fits("{nil [\"x\"] 1}", reply));
  CHECK_FALSE(Fits("{nil 1}", reply));
  CHECK_FALSE(Fits("{nil nil 1}", reply));
}

TEST_CASE("a remembered integer is compared with later ones") {
  Variables variables;
  CHECK(Expectation::Parse("$t").Matches(Of(Reply::kInteger, "", 7), variables));
  CHECK(Expectation::Parse(">$t").Matches(Of(Reply::kInteger, "", 8), variables));
  CHECK_FALSE(Expectation::Parse(">$t").Matches(Of(Reply::kInteger, "", 7), variables));
  CHECK(Expectation::Parse("=$t").Matches(Of(Reply::kInteger, "", 7), variables));
}

TEST_CASE("a scenario file is read with its sessions, steps and orders") {
  const Scenario scenario = Scenario::Parse("file",
                                            "# What it\n# shows.\n"
                                            "settings lock_timeout=5ms\n"
                                            "setup\n  SET x \"a b\"\n"
                                            "session a\n  read  GET x\n  end   COMMIT\n"
                                            "order of one\n"
                                            "  a.read  <waiting for a>\n"
                                            "  a.read  <completed> \"a b\"\n"
                                            "every order\n  look GET x\n");
  CHECK(scenario.about == "What it shows.");
  CHECK(scenario.settings == std::vector<std::string>{"lock_timeout=5ms"});
  CHECK(scenario.setup == std::vector<Words>{{"SET", "x", "a b"}});
  CHECK(scenario.session("a").steps == std::vector<std::string>{"read", "end"});
  REQUIRE(scenario.orders.size() == 1);
  CHECK(scenario.orders[0].title == "of one");
  CHECK(scenario.orders[0].moves[0].behind == std::vector<std::string>{"a"});
  CHECK(scenario.orders[0].moves[1].completes);
  CHECK(scenario.looks == std::vector<Words>{{"GET", "x"}});
}

TEST_CASE("a mistake in a scenario file is told with its line") {
  CHECK(ErrorIn("# a\nsession a\n  x GET x\norder\n  a.y OK\n") ==
        "file line 5: there is no step a.y");
  CHECK(ErrorIn("# a\nsession a\n  x GET x\norder\n  a.x <waiting for b>\n") ==
        "file line 5: there is no session b");
  CHECK(ErrorIn("# a\nsession a\n  x GET x\norder\n  a.x \"open\n").starts_with("file line 5"));
  CHECK(ErrorIn("# a\nsession a\n  x\n") == "file line 3: a step needs a command");
  CHECK(ErrorIn("# a\nsessions\n") == "file line 2: no such heading: sessions");
  CHECK(ErrorIn("session a\n  x GET x\norder\n  a.x nil\n").find("comment") != std::string::npos);
}

}  // namespace warren::test
