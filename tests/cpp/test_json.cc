// SPDX-License-Identifier: Apache-2.0
// The JSON parser of the core: what it accepts, what it refuses, and that its limits hold.
#include "check.h"
#include "core/json.h"
#include "core/text.h"

using ts::Json;
using ts::parse_json;

namespace {

std::string nested(int depth) {
  return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
}

void accepts() {
  Json value;
  std::string problem;
  CHECK(parse_json(" { \"b\" : [ 1 , -2.5e1 , true , false , null ] , \"a\" : { } } \n", value, problem));
  CHECK(value.object() && value.object()->size() == 2);
  CHECK(value.find("a") && value.find("a")->object() && value.find("a")->object()->empty());
  CHECK(!value.find("c"));
  const Json::Array* list = value.find("b")->array();
  if (CHECK(list && list->size() == 5)) {
    CHECK(*(*list)[0].number() == 1 && *(*list)[1].number() == -25);
    CHECK(*(*list)[2].boolean() && !*(*list)[3].boolean());
    CHECK((*list)[4].kind() == Json::Kind::kNull);
  }
  const struct {
    const char *text, *expected;
  } texts[] = {
      {R"("")", ""},
      {R"("\"\\\/\b\f\n\r\t")", "\"\\/\b\f\n\r\t"},
      {R"("\u0041\u00e9\u20AC\ud83d\uDE00")", "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
      {"\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\x7F\"", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\x7F"},
  };
  for (const auto& [text, expected] : texts) {
    CHECK_MESSAGE(parse_json(text, value, problem) && value.text() && *value.text() == expected, text);
  }
  const struct {
    const char* text;
    double expected;
  } numbers[] = {{"0", 0},
                 {"-0", 0},
                 {"9007199254740993", 9007199254740992.0},
                 {"1E+2", 100},
                 {"0.1", 0.1},
                 {"1.7976931348623157e308", 1.7976931348623157e308},
                 {"2.2250738585072014e-308", 2.2250738585072014e-308}};
  for (const auto& [text, expected] : numbers) {
    CHECK_MESSAGE(parse_json(text, value, problem) && value.number() && *value.number() == expected, text);
  }
}

void refuses() {
  const struct {
    std::string text;
    const char* problem;
  } cases[] = {
      {"", "byte 0: expected a value"},
      {"  ", "expected a value"},
      {"nul", "expected a value"},
      {"truE", "expected a value"},
      {"NaN", "expected a value"},
      {"Infinity", "expected a value"},
      {"'a'", "expected a value"},
      {"1 2", "byte 2: text after the end"},
      {"{} x", "text after the end"},
      {std::string("1\0", 2), "text after the end"},
      {"01", "must not begin with 0"},
      {"-", "expected a value"},
      {"+1", "expected a value"},
      {"1.", "expected a value"},
      {".5", "expected a value"},
      {"1e", "expected a value"},
      {"1e999", "out of range"},
      {"-1e999", "out of range"},
      {"[1,]", "expected a value"},
      {"[1 2]", "expected ',' or ']'"},
      {"[1", "expected ',' or ']'"},
      {"[", "expected a value"},
      {"{\"a\":1,}", "expected '\"'"},
      {"{\"a\" 1}", "expected ':'"},
      {"{a:1}", "expected '\"'"},
      {"{\"a\":1", "expected ',' or '}'"},
      {R"({"b":1,"a":2,"\u0062":3})", "has the key \"b\" twice"},
      {"\"a", "does not end"},
      {"\"\\", "unknown escape"},
      {"\"\\x\"", "unknown escape"},
      {"\"\\u12g4\"", "four hexadecimal digits"},
      {"\"\\u0000\"", "U+0000"},
      {"\"\\ud800\"", "high surrogate"},
      {"\"\\ud800\\u0041\"", "high surrogate"},
      {"\"\\udc00\"", "low surrogate"},
      {"\"a\nb\"", "control character"},
      {"\"\x80\"", "not valid UTF-8"},
      {"\"\xC0\xAF\"", "not valid UTF-8"},          // overlong '/'
      {"\"\xED\xA0\x80\"", "not valid UTF-8"},      // surrogate
      {"\"\xF4\x90\x80\x80\"", "not valid UTF-8"},  // above U+10FFFF
      {"\"\xE2\x82\"", "not valid UTF-8"},          // cut short
      {nested(33), "nested deeper than 32"},
      {std::string(1 << 20, '['), "nested deeper than 32"},
  };
  for (const auto& [text, expected] : cases) {
    Json value(7.0);
    std::string problem;
    const bool ok = parse_json(text, value, problem);
    CHECK_MESSAGE(!ok, "accepted: " + text.substr(0, 40));
    CHECK_MESSAGE(ts_test::contains(problem, expected), text.substr(0, 40) + " gives: " + problem);
    CHECK(value.number() && *value.number() == 7);  // untouched
  }
}

void limits() {
  Json value;
  std::string problem;
  CHECK(parse_json(nested(32), value, problem));
  ts::JsonLimits few;
  few.values = 3;
  CHECK(parse_json("[1,2]", value, problem, few));
  CHECK(!parse_json("[1,2,3]", value, problem, few) && ts_test::contains(problem, "more than 3 values"));
  ts::JsonLimits small;
  small.bytes = 4;
  CHECK(parse_json("1234", value, problem, small));
  CHECK(!parse_json("12345", value, problem, small) && ts_test::contains(problem, "limit of 4 bytes"));
}

void integers() {
  const struct {
    const char* text;
    bool is_integer;
    int64_t expected;
  } cases[] = {{"-3", true, -3},   {"2e3", true, 2000}, {"9007199254740992", true, int64_t{1} << 53},
               {"1e16", false, 0}, {"1.5", false, 0},   {"\"1\"", false, 0},
               {"1e300", false, 0}};
  for (const auto& [text, is_integer, expected] : cases) {
    Json value;
    std::string problem;
    int64_t out = 0;
    CHECK(parse_json(text, value, problem));
    CHECK_MESSAGE(value.integer(out) == is_integer && out == expected, text);
  }
}

void quotes() {
  CHECK(ts::quoted("a/b") == "\"a/b\"");
  CHECK(ts::quoted("\xC3\xA9") == "\"\xC3\xA9\"");
  CHECK(ts::quoted("\x1B[2J\xFF\n") == "\"\\x1B[2J\\xFF\\x0A\"");
  CHECK(ts::quoted("\xC2\x9B") == "\"\\xC2\\x9B\"");  // C1 control
  CHECK(ts::quoted(std::string(1000, 'x'), 10) == "\"xxxxxxxxxx...\"");
  CHECK(ts::printable(std::string(1000, 'x')) == std::string(1000, 'x'));
  CHECK(ts::printable("a\xE2\x82z") == "a\\xE2\\x82z");
}

}  // namespace

int main() {
  accepts();
  refuses();
  limits();
  integers();
  quotes();
  return ts_test::report("test_json");
}
