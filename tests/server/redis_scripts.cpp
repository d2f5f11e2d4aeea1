#include "tests/server/redis_scripts.h"

#include <algorithm>
#include <cstdlib>

namespace warren::test {
namespace {

constexpr Script kAllScripts[] = {
    {"get and set", R"(
      GET k
      SET k v
      GET k
      GET
      GET k k
      SET k
      SET k ""
      GET k
      SET "" empty
      GET ""
      SET "\x00\xff\r\n k" "\x00\xff\r\n v"
      GET "\x00\xff\r\n k"
      get k
      STRLEN k
      STRLEN missing
      STRLEN "\x00\xff\r\n k"
      SETNX k 1
      SETNX n 1
      SETNX n 2
      GET n
      GETSET n 3
      GETSET g 4
      GET g
      GETDEL g
      GETDEL g
      GETDEL
    )"},
    {"set with conditions", R"(
      SET k v XX
      SET k v NX
      SET k w NX
      SET k w XX
      SET k w xx nx
      SET k w NX XX
      SET k w NX NX
      SET k x XX XX
      GET k
      SET k y GET
      SET m y GET
      SET m z NX GET
      SET n z NX GET
      SET o z XX GET
      EXISTS o
      SET k z XX GET
      SET k z GET GET
      SET k z bogus
      SET k z EX
    )"},
    {"set with times", R"(
      SET k v EX 0
      SET k v EX -1
      SET k v PX 0
      SET k v PX -9223372036854775808
      SET k v EXAT 0
      SET k v PXAT -5
      SET k v EX 1.5
      SET k v EX abc
      SET k v EX ""
      SET k v EX 9223372036854775807
      SET k v EX 9223372036854776
      SET k v PX 9223372036854775807
      SET k v EXAT 9223372036854775807
      EXISTS k
      SET k v PXAT 9223372036854775807
      PEXPIRETIME k
      EXPIRETIME k
      SET k v EX 100 PX 100
      SET k v EX 100 EX 200
      SET k v EXAT 4102444800 EXAT 4102444801
      EXPIRETIME k
      SET k v EX 100 EXAT 4102444800
      SET k v EX 100 KEEPTTL
      SET k v KEEPTTL EX 100
      SET k v KEEPTTL KEEPTTL
      EXPIRETIME k
      SET k v
      TTL k
      SET k v EXAT 4102444800
      SET k w KEEPTTL
      EXPIRETIME k
      SET k w keepttl get
      EXPIRETIME k
      SET k v EXAT 1
      GET k
      SET k v
      SET k v PXAT 1
      EXISTS k
      SET k v GET EXAT 1
      SET k v GET EXAT 1
      SET k v PERSIST
      SET k v NX EX 0
      SET k v EX 0 bogus
      SETEX k 0 v
      SETEX k -1 v
      SETEX k abc v
      SETEX k 9223372036854775807 v
      SETEX k 100 v
      SETEX k 100
      PSETEX k 0 v
      PSETEX k 9223372036854775807 v
      PSETEX k 100000 v
      GET k
      SETNX k w
      GETSET k w
      TTL k
    )"},
    {"getex", R"(
      GETEX k
      GETEX k EX abc
      GETEX k EX 0
      GETEX k EX
      GETEX k bogus
      GETEX k NX
      GETEX k KEEPTTL
      SET k v
      GETEX k
      GETEX k EX abc
      GETEX k EX 0
      GETEX k PX 9223372036854775807
      GETEX k EXAT 4102444800
      EXPIRETIME k
      GETEX k
      EXPIRETIME k
      GETEX k PERSIST EX 100
      GETEX k EX 100 PERSIST
      GETEX k PERSIST PERSIST
      TTL k
      GETEX k PXAT 4102444800123
      PEXPIRETIME k
      EXPIRETIME k
      GETEX k PXAT 4102444800623
      EXPIRETIME k
      GETEX k PXAT 1
      EXISTS k
      GETEX
    )"},
    {"several keys", R"(
      MSET a 1 b 2 c 3
      MGET a b c d
      MGET a a
      MGET
      MSET a
      MSET a 1 b
      MSET a 1 a 2
      GET a
      MSETNX a 1 z 2
      EXISTS z
      MSETNX x 1 y 2
      MGET x y
      MSETNX x
      MSETNX p 1 q
      MSETNX p 1 p 2
      GET p
      EXISTS a a b nothing
      EXISTS
      TOUCH a nothing b
      TOUCH
      UNLINK a nothing
      DEL b b c
      DEL
      UNLINK
      ~KEYS *
    )"},
    {"integers", R"(
      INCR n
      INCR n
      DECR n
      INCRBY n 40
      DECRBY n 50
      INCRBY n -5
      GET n
      INCRBY n abc
      INCRBY n 1.0
      INCRBY n ""
      INCRBY n " 1"
      INCRBY n 9223372036854775808
      DECRBY n -9223372036854775808
      DECRBY n 9223372036854775807
      SET n 9223372036854775807
      INCR n
      INCRBY n 0
      INCRBY n -1
      GET n
      SET n -9223372036854775808
      DECR n
      DECRBY n 1
      INCRBY n 9223372036854775807
      SET n " 1"
      INCR n
      SET n "1 "
      INCR n
      SET n +1
      INCR n
      SET n 01
      INCR n
      SET n -0
      INCR n
      SET n -
      INCR n
      SET n ""
      INCR n
      SET n 0
      INCR n
      SET n 123456789012345678901234567890
      INCR n
      SET n "1\x00"
      INCR n
      SET n 5 EXAT 4102444800
      INCR n
      EXPIRETIME n
      INCR
      INCRBY n
      DECR n 1
    )"},
    {"floats", R"(
      INCRBYFLOAT f 1.5
      INCRBYFLOAT f 1.5
      INCRBYFLOAT f -3
      INCRBYFLOAT f 0.1
      INCRBYFLOAT f 0.2
      INCRBYFLOAT f 1e3
      INCRBYFLOAT f -1e-5
      INCRBYFLOAT f 5.0e20
      GET f
      INCRBYFLOAT f abc
      INCRBYFLOAT f ""
      INCRBYFLOAT f " 1"
      INCRBYFLOAT f "1 "
      INCRBYFLOAT f nan
      INCRBYFLOAT f inf
      INCRBYFLOAT f -inf
      INCRBYFLOAT f infinity
      INCRBYFLOAT f 1e5000
      INCRBYFLOAT f 1e-5000
      INCRBYFLOAT f 0x10
      GET f
      SET f 3.0e3
      INCRBYFLOAT f 200
      SET f 5.50
      INCRBYFLOAT f 0
      SET f -0
      INCRBYFLOAT f 0
      SET f 0
      INCRBYFLOAT f -0.0
      SET f 10
      INCRBYFLOAT f -10.000000000000000001
      SET f 1e300
      INCRBYFLOAT f 1
      STRLEN f
      SET f x
      INCRBYFLOAT f 1
      SET f "1\x00"
      INCRBYFLOAT f 1
      SET f 1e4932
      INCRBYFLOAT f 1e4932
      SET f 3 EXAT 4102444800
      INCRBYFLOAT f 0.14159265358979
      EXPIRETIME f
      INCRBYFLOAT f 1 2
    )"},
    {"parts of values", R"(
      APPEND k Hello
      APPEND k " World"
      APPEND k ""
      GET k
      APPEND e ""
      EXISTS e
      GETRANGE k 0 -1
      GETRANGE k 0 4
      GETRANGE k -5 -1
      GETRANGE k -5 -7
      GETRANGE k -100 2
      GETRANGE k -100 -99
      GETRANGE k 5 2
      GETRANGE k 5 100
      GETRANGE k 100 200
      GETRANGE k 3 3
      GETRANGE k -9223372036854775808 9223372036854775807
      GETRANGE k 0 abc
      GETRANGE k abc 0
      GETRANGE k 0 9223372036854775808
      GETRANGE missing 0 -1
      GETRANGE e 0 -1
      GETRANGE k 0
      SUBSTR k 1 3
      SUBSTR k -3 -1
      SUBSTR k
      SETRANGE k 6 Redis
      GET k
      SETRANGE k 0 J
      SETRANGE k 20 tail
      GET k
      SETRANGE new 5 x
      GET new
      SETRANGE none 5 ""
      EXISTS none
      SETRANGE k 100 ""
      SETRANGE k -1 x
      SETRANGE k -1 ""
      SETRANGE k abc x
      SETRANGE k 1048576 x
      SETRANGE k 1048575 x
      STRLEN k
      APPEND k x
      APPEND k ""
      SETRANGE fresh 1048576 x
      SETRANGE fresh 9223372036854775807 x
      SETRANGE fresh 9223372036854775807 ""
      EXISTS fresh
      SET t 1 EXAT 4102444800
      APPEND t 2
      SETRANGE t 5 3
      EXPIRETIME t
      APPEND t
    )"},
    {"expiry", R"(
      EXPIRE k 100
      PEXPIRE k 100
      EXPIREAT k 4102444800
      PEXPIREAT k 4102444800000
      TTL k
      PTTL k
      EXPIRETIME k
      PEXPIRETIME k
      PERSIST k
      SET k v
      TTL k
      PTTL k
      EXPIRETIME k
      PEXPIRETIME k
      PERSIST k
      EXPIREAT k 4102444800
      EXPIRETIME k
      PEXPIRETIME k
      PERSIST k
      TTL k
      PEXPIREAT k 4102444800499
      EXPIRETIME k
      PEXPIREAT k 4102444800500
      EXPIRETIME k
      PEXPIREAT k 9223372036854775807
      EXPIREAT k 9223372036854775
      EXPIRETIME k
      EXPIREAT k 4102444800 NX
      EXPIREAT k 4102444801 XX
      EXPIREAT k 4102444801 GT
      EXPIREAT k 4102444802 GT
      EXPIREAT k 4102444802 LT
      EXPIREAT k 4102444800 LT
      EXPIREAT k 4102444800 lt XX
      EXPIREAT k 4102444803 GT XX
      EXPIRETIME k
      PERSIST k
      EXPIREAT k 4102444800 XX
      EXPIREAT k 4102444800 GT
      EXPIREAT k 4102444800 LT
      PERSIST k
      EXPIREAT k 4102444800 NX
      EXPIREAT k 1 NX
      EXPIRE k 100 NX XX
      EXPIRE k 100 NX GT
      EXPIRE k 100 LT NX
      EXPIRE k 100 GT LT
      EXPIRE k 100 bogus
      EXPIRE k abc bogus
      EXPIRE k abc NX XX
      EXPIRE k abc
      EXPIRE k 1.5
      EXPIRE k 9223372036854775807
      EXPIRE k -9223372036854775808
      EXPIRE k 9223372036854775
      PEXPIRE k 9223372036854775807
      PEXPIRE missing 9223372036854775807
      EXPIREAT k 9223372036854776
      EXPIRE missing 9223372036854775807
      EXPIREAT k 1
      EXISTS k
      SET k v
      EXPIRE k 0
      EXISTS k
      SET k v
      EXPIRE k -1
      EXISTS k
      SET k v
      PEXPIRE k -1
      EXISTS k
      SET k v
      PEXPIREAT k -1
      EXISTS k
      SET k v
      EXPIRE k -100 GT
      EXISTS k
      EXPIRE k -100 LT
      EXISTS k
      EXPIRE k
      TTL
      PERSIST
    )"},
    {"rename, copy, move", R"(
      RENAME a b
      RENAME a a
      RENAMENX a b
      RENAMENX a a
      SET a 1 EXAT 4102444800
      RENAME a a
      RENAMENX a a
      RENAME a b
      EXISTS a
      GET b
      EXPIRETIME b
      SET a 2
      RENAMENX a b
      RENAME a b
      GET b
      TTL b
      RENAMENX b c
      GET c
      RENAME c
      RENAMENX c
      COPY missing d
      EXPIREAT c 4102444800
      COPY c d
      COPY c d
      EXPIRETIME d
      GET d
      SET c 3
      COPY c d REPLACE
      GET d
      TTL d
      COPY c c
      COPY missing missing
      COPY c c DB 0
      COPY c c DB 1
      COPY c c DB 1
      COPY c e DB
      COPY c e DB 16
      COPY c e DB -1
      COPY c e DB abc
      COPY c e DB 99999999999
      COPY c e bogus
      COPY c e REPLACE bogus
      COPY c e DB 1 DB 2 replace
      COPY c
      SELECT 2
      GET e
      MOVE e 1
      MOVE e 1
      MOVE missing 3
      SET e again
      MOVE e 1
      MOVE e 2
      MOVE missing 2
      MOVE e 16
      MOVE e abc
      MOVE e -1
      MOVE e
      SELECT 1
      GET e
      ~KEYS *
      DBSIZE
      RENAME e e
    )"},
    {"whole databases", R"(
      DBSIZE
      RANDOMKEY
      SET a 1
      DBSIZE
      RANDOMKEY
      SELECT 3
      DBSIZE
      SET b 1
      FLUSHDB
      DBSIZE
      FLUSHDB ASYNC
      FLUSHDB sync
      FLUSHDB bogus
      FLUSHDB SYNC ASYNC
      FLUSHALL bogus
      SELECT 0
      DBSIZE
      FLUSHALL ASYNC
      DBSIZE
      FLUSHALL SYNC
      DBSIZE extra
      RANDOMKEY extra
      TYPE a
      SET a 1
      TYPE a
      TYPE
    )"},
    {"keys and patterns", R"(
      KEYS *
      MSET hello 1 hallo 2 hxllo 3 hllo 4 heeeello 5 "h*llo" 6 "[x]" 7 "h\\llo" 8
      ~KEYS *
      ~KEYS h?llo
      ~KEYS h*llo
      ~KEYS h[ae]llo
      ~KEYS h[^e]llo
      ~KEYS h[a-b]llo
      ~KEYS h[b-a]llo
      ~KEYS "h\\*llo"
      ~KEYS "\\[x\\]"
      ~KEYS "[[]x]"
      ~KEYS hello
      ~KEYS hell
      ~KEYS hello*
      ~KEYS **
      ~KEYS *o
      ~KEYS h*e*l*o
      ~KEYS "h\\\\llo"
      ~KEYS "h\\"
      ~KEYS "h[ae"
      ~KEYS "h["
      ~KEYS "h[^"
      ~KEYS "h[a-"
      ~KEYS ""
      ~KEYS ?
      KEYS
      KEYS a b
    )"},
    {"scan", R"(
      SCAN 0
      SCAN abc
      SCAN 1x
      SCAN " 1"
      SCAN 18446744073709551616
      SCAN
      SCAN 0 COUNT
      SCAN 0 COUNT 0
      SCAN 0 COUNT -1
      SCAN 0 COUNT abc
      SCAN 0 MATCH
      SCAN 0 bogus
      SCAN 0 bogus 1
      SCAN 0 COUNT 10 TYPE
      MSET a 1 b 2 c 3 aa 4
      ~SCAN 0 COUNT 1000
      ~SCAN 0 COUNT 1000 MATCH a*
      ~SCAN 0 match nothing count 1000
      ~SCAN 0 TYPE string COUNT 1000
      ~SCAN 0 TYPE STRING COUNT 1000
      ~SCAN 0 TYPE hash COUNT 1000
      ~SCAN 0 TYPE bogus COUNT 1000
      ~SCAN 0 COUNT 1000 COUNT 2000 MATCH x MATCH a
      ~SCAN 00 COUNT 1000
    )"},
    {"object", R"(
      OBJECT ENCODING missing
      SET i 12345
      OBJECT ENCODING i
      SET i -9223372036854775808
      OBJECT ENCODING i
      SET i 9223372036854775808
      OBJECT ENCODING i
      SET i 012
      OBJECT ENCODING i
      SET i ""
      OBJECT ENCODING i
      SET i aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      OBJECT ENCODING i
      SET i aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
      OBJECT ENCODING i
      OBJECT REFCOUNT i
      OBJECT REFCOUNT missing
      OBJECT FREQ missing
      OBJECT IDLETIME missing
      OBJECT ENCODING
      OBJECT bogus i
      OBJECT
    )"},
    {"multi and exec", R"(
      EXEC
      DISCARD
      MULTI
      EXEC
      MULTI
      SET k 1
      INCR k
      GET k
      GET nothing
      EXEC
      GET k
      MULTI
      SET k 2
      2>GET k
      DISCARD
      GET k
      EXEC
      MULTI
      INCR k
      SET n abc
      INCR n
      APPEND k x
      EXEC
      MGET k n
      MULTI
      SELECT 1
      SET q 1
      SELECT 99
      SELECT abc
      DBSIZE
      SELECT 0
      EXISTS q
      EXEC
      SELECT 1
      GET q
      DEL q
      SELECT 0
      MULTI
      SELECT 1
      EXEC
      EXISTS k
      SELECT 0
      MULTI
      PING
      PING x
      PING x y
      ECHO x
      TYPE k
      SET
      EXEC
      MULTI
      PING
      PING x
      PING x y
      ECHO x
      TYPE k
      SET k v bogus
      SET k "\x00\xff\r\n v"
      GET k
      EXEC
      MULTI
      MSET a 1 b 2
      MSET a 1 b
      MGET a b c
      RENAME a d
      RENAME nothing e
      COPY b e
      DEL a b d
      EXISTS a b c d e
      ~KEYS *
      DBSIZE
      FLUSHDB
      DBSIZE
      SET z 1
      ~KEYS *
      RANDOMKEY
      ~EXEC
      ~KEYS *
      MULTI
      SET k v EXAT 4102444800
      EXPIRETIME k
      SET k v PXAT 1
      EXISTS k
      PERSIST k
      FLUSHALL
      EXISTS z
      EXEC
      DBSIZE
    )"},
    {"what is not queued", R"(
      MULTI
      MULTI
      WATCH k
      SET k 1
      UNWATCH
      EXEC
      MULTI x
      EXEC x
      DISCARD x
      UNWATCH x
      WATCH
      MULTI
      GET
      EXEC
      MULTI
      GET k
      NOSUCH a b
      EXEC
      MULTI
      EXEC x
      EXEC
      MULTI
      DISCARD x
      EXEC
      MULTI
      UNWATCH x
      SET k 2
      EXEC
      GET k
      MULTI
      CONFIG
      EXEC
      MULTI
      CONFIG BOGUS
      EXEC
      MULTI
      SAVE
      EXEC
      MULTI
      SET k 3
      RESET
      EXEC
      GET k
      MULTI
      HELLO 7
      HELLO 3 AUTH a b
      EXEC
    )"},
    {"watched keys", R"(
      SET k 1
      WATCH k
      2>SET k 2
      MULTI
      GET k
      EXEC
      MULTI
      GET k
      EXEC
      WATCH k
      SET k 3
      MULTI
      SET k 4
      EXEC
      GET k
      WATCH k
      MULTI
      SET k 5
      EXEC
      WATCH k
      MULTI
      2>SET k 6
      SET k 7
      EXEC
      GET k
      WATCH k
      MULTI
      GET
      2>SET k 4
      EXEC
      WATCH nothing
      2>SET nothing 1
      2>DEL nothing
      MULTI
      EXEC
      WATCH nothing
      2>DEL nothing
      2>GET nothing
      2>TOUCH nothing
      MULTI
      EXEC
      WATCH k
      EXEC
      2>SET k 9
      MULTI
      EXEC
      WATCH k
      DISCARD
      2>SET k 9
      MULTI
      EXEC
      WATCH k
      MULTI
      2>SET k 9
      DISCARD
      MULTI
      EXEC
      WATCH k
      2>SET k 9
      UNWATCH
      MULTI
      EXEC
      WATCH k
      MULTI
      2>SET k 9
      UNWATCH
      EXEC
      WATCH k
      WATCH k
      2>SET k 9
      WATCH k
      MULTI
      EXEC
    )"},
    {"what changes a watched key", R"(
      SET k 1
      WATCH k
      2>EXPIRE k 100
      MULTI
      EXEC
      WATCH k
      2>PERSIST k
      MULTI
      EXEC
      WATCH k
      2>PERSIST k
      2>SETNX k 5
      2>GET k
      2>GETEX k
      2>SETRANGE k 0 ""
      2>RENAME k k
      2>MSETNX k 1 l 1
      2>RENAMENX k k
      2>INCRBY k x
      2>SET other 1
      MULTI
      EXEC
      WATCH k
      2>APPEND k ""
      MULTI
      EXEC
      WATCH k
      2>SET k 1 KEEPTTL
      MULTI
      EXEC
      WATCH k
      2>RENAME k l
      2>RENAME l k
      MULTI
      EXEC
      WATCH k
      2>COPY other k REPLACE
      MULTI
      EXEC
      WATCH k
      2>MSET other 1 k 2
      MULTI
      EXEC
      WATCH k
      2>EXPIRE k -1
      MULTI
      EXEC
      SET k 1
      WATCH k
      2>FLUSHDB
      MULTI
      EXEC
      SET k 1
      WATCH k
      2>FLUSHALL
      2>SET k 1
      MULTI
      EXEC
      WATCH k
      2>MULTI
      2>SET k 2
      MULTI
      EXEC
      WATCH k
      2>EXEC
      MULTI
      EXEC
      WATCH k
      2>MULTI
      2>DEL k
      2>SET k 2
      2>EXEC
      MULTI
      EXEC
      WATCH k
      2>SELECT 1
      2>SET k 2
      MULTI
      EXEC
      WATCH k
      SELECT 1
      2>SET k 2
      MULTI
      EXEC
      WATCH k
      SELECT 0
      2>SET k 3
      MULTI
      EXEC
      SELECT 1
      WATCH k
      SELECT 0
      WATCH k
      MULTI
      GET k
      EXEC
      WATCH k
      2>SELECT 0
      2>MOVE k 1
      2>DEL k
      MULTI
      EXEC
      WATCH k
      2>RESET
      2>SET k 3
      RESET
      MULTI
      EXEC
    )"},
};

constexpr std::string_view kAllRandomCommands[] = {
    "GET KEY",
    "SET KEY VALUE",
    "SET KEY NUMBER",
    "SET KEY VALUE NX",
    "SET KEY VALUE XX GET",
    "SET KEY VALUE GET KEEPTTL",
    "SET KEY VALUE PXAT TIME",
    "SET KEY VALUE EXAT TIME NX GET",
    "SETNX KEY VALUE",
    "GETSET KEY VALUE",
    "GETDEL KEY",
    "GETEX KEY",
    "GETEX KEY PERSIST",
    "GETEX KEY PXAT TIME",
    "GETEX KEY EXAT TIME",
    "MGET KEY KEY KEY",
    "MSET KEY VALUE KEY VALUE",
    "MSETNX KEY VALUE KEY VALUE",
    "APPEND KEY VALUE",
    "STRLEN KEY",
    "INCR KEY",
    "DECR KEY",
    "INCRBY KEY NUMBER",
    "DECRBY KEY NUMBER",
    "INCRBYFLOAT KEY NUMBER",
    "GETRANGE KEY NUMBER NUMBER",
    "SUBSTR KEY NUMBER NUMBER",
    "SETRANGE KEY 3 VALUE",
    "SETRANGE KEY NUMBER VALUE",
    "EXISTS KEY KEY",
    "TOUCH KEY KEY",
    "DEL KEY KEY",
    "UNLINK KEY",
    "TYPE KEY",
    "RENAME KEY KEY",
    "RENAMENX KEY KEY",
    "COPY KEY KEY",
    "COPY KEY KEY REPLACE",
    "COPY KEY KEY DB 1 REPLACE",
    "MOVE KEY 1",
    "MOVE KEY 0",
    "SELECT 0",
    "SELECT 1",
    "EXPIREAT KEY TIME",
    "PEXPIREAT KEY TIME",
    "PEXPIREAT KEY TIME NX",
    "PEXPIREAT KEY TIME XX",
    "PEXPIREAT KEY TIME GT",
    "PEXPIREAT KEY TIME LT",
    "PEXPIREAT KEY TIME XX LT",
    "EXPIRETIME KEY",
    "PEXPIRETIME KEY",
    "PERSIST KEY",
};

constexpr std::string_view kAllRandomValues[] = {
    "",     "v",      "0",           "1",   "-1",   "10",
    "3.5",  "-0.125", "hello world", "1e2", "\r\n", "9223372036854775806",
    "LONG", "LONGER",
};

constexpr std::string_view kAllRandomNumbers[] = {
    "0",
    "1",
    "2",
    "-1",
    "-2",
    "5",
    "100",
    "-90",
    "1.25",
    "1e3",
    "x",
    "",
    "-9223372036854775808",
    "9223372036854775807",
    "9223372036854775808",
};

constexpr std::string_view kAllRandomTimes[] = {
    "1",
    "1000",
    "0",
    "-1",
    "4102444800",
    "4102444800000",
    "4102444801000",
    "4102444802500",
    "x",
    "9223372036854775807",
};

char FromHex(std::string_view two) {
  return static_cast<char>(std::strtol(std::string(two).c_str(), nullptr, 16));
}

// The byte that the escape behind the backslash at *at stands for; moves *at to its last byte.
char Escaped(std::string_view line, size_t* at) {
  const char c = line[++*at];
  if (c == 'n') return '\n';
  if (c == 'r') return '\r';
  if (c != 'x') return c;
  *at += 2;
  return FromHex(line.substr(*at - 1, 2));
}

}  // namespace

const std::span<const Script> kScripts = kAllScripts;
const std::span<const std::string_view> kRandomCommands = kAllRandomCommands;
const std::span<const std::string_view> kRandomValues = kAllRandomValues;
const std::span<const std::string_view> kRandomNumbers = kAllRandomNumbers;
const std::span<const std::string_view> kRandomTimes = kAllRandomTimes;

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> Split(std::string_view line) {
  std::vector<std::string> words;
  for (size_t i = 0; i < line.size();) {
    if (line[i] == ' ') {
      ++i;
      continue;
    }
    std::string& word = words.emplace_back();
    const bool quoted = line[i] == '"';
    if (quoted) ++i;
    for (; i < line.size() && line[i] != (quoted ? '"' : ' '); ++i) {
      word += quoted && line[i] == '\\' ? Escaped(line, &i) : line[i];
    }
    if (quoted) ++i;
  }
  return words;
}

}  // namespace warren::test
