// SPDX-License-Identifier: Apache-2.0
#include "core/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <locale>
#include <sstream>

#include "core/text.h"

namespace ts {
namespace {

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int extra = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  const uint32_t lead = extra == 1 ? 0xC0 : extra == 2 ? 0xE0 : 0xF0;
  out += static_cast<char>(lead | code >> (6 * extra));
  for (int i = extra - 1; i >= 0; --i) out += static_cast<char>(0x80 | (code >> (6 * i) & 0x3F));
}

// `token` already follows JSON's grammar. Never uses the process locale, whose decimal point may be a comma.
bool to_double(std::string_view token, double& value) {
#if defined(__cpp_lib_to_chars)
  const auto result = std::from_chars(token.data(), token.data() + token.size(), value);
  return result.ec == std::errc() && result.ptr == token.data() + token.size() && std::isfinite(value);
#else
  std::istringstream stream{std::string(token)};
  stream.imbue(std::locale::classic());
  return (stream >> value) && std::isfinite(value);
#endif
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  Parser(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  bool document(Json& value) {
    if (text_.size() > limits_.bytes)
      return fail("longer than the limit of " + std::to_string(limits_.bytes) + " bytes");
    if (!any(value, 0)) return false;
    skip_space();
    return at_ == text_.size() || fail("text after the end of the value");
  }
  std::string problem() const { return "byte " + std::to_string(at_) + ": " + problem_; }

 private:
  bool fail(std::string what) {
    problem_ = std::move(what);
    return false;
  }
  // '\0' at the end of the text; a real NUL is nowhere valid, so the two need no telling apart.
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
  }
  bool word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return fail("expected a value");
    at_ += word.size();
    return true;
  }

  bool any(Json& value, int depth) {
    skip_space();
    if (++n_values_ > limits_.values) return fail("more than " + std::to_string(limits_.values) + " values");
    switch (peek()) {
      case '{':
        return object(value, depth + 1);
      case '[':
        return array(value, depth + 1);
      case '"': {
        std::string text;
        if (!string(text)) return false;
        value = Json(std::move(text));
        return true;
      }
      case 't':
        value = Json(true);
        return word("true");
      case 'f':
        value = Json(false);
        return word("false");
      case 'n':
        value = Json();
        return word("null");
      default:
        return number(value);
    }
  }

  bool too_deep(int depth) {
    if (depth <= limits_.depth) return false;
    fail("nested deeper than " + std::to_string(limits_.depth) + " levels");
    return true;
  }

  bool array(Json& value, int depth) {
    if (too_deep(depth)) return false;
    Json::Array items;
    take('[');
    skip_space();
    if (!take(']')) {
      do {
        items.emplace_back();
        if (!any(items.back(), depth)) return false;
        skip_space();
      } while (take(','));
      if (!take(']')) return fail("expected ',' or ']'");
    }
    value = Json(std::move(items));
    return true;
  }

  bool object(Json& value, int depth) {
    if (too_deep(depth)) return false;
    Json::Object members;
    take('{');
    skip_space();
    if (!take('}')) {
      do {
        skip_space();
        members.emplace_back();
        if (!string(members.back().key)) return false;
        skip_space();
        if (!take(':')) return fail("expected ':'");
        if (!any(members.back().value, depth)) return false;
        skip_space();
      } while (take(','));
      if (!take('}')) return fail("expected ',' or '}'");
    }
    std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    const auto twin =
        std::adjacent_find(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.key == b.key; });
    if (twin != members.end()) return fail("the object that ends here has the key " + quoted(twin->key) + " twice");
    value = Json(std::move(members));
    return true;
  }

  bool string(std::string& out) {
    if (!take('"')) return fail("expected '\"'");
    for (;;) {
      // Most of a text is plain ASCII: copy it in runs.
      size_t end = at_;
      while (end < text_.size() && text_[end] >= ' ' && text_[end] < 0x7F && text_[end] != '"' && text_[end] != '\\') {
        ++end;
      }
      out.append(text_, at_, end - at_);
      at_ = end;
      if (at_ == text_.size()) return fail("the text does not end");
      if (take('"')) return true;
      if (take('\\')) {
        if (!escape(out)) return false;
        continue;
      }
      if (static_cast<uint8_t>(text_[at_]) < 0x20) return fail("control character inside a text; write it as \\u00XX");
      const size_t length = utf8_length(text_.substr(at_));
      if (length == 0) return fail("not valid UTF-8");
      out.append(text_, at_, length);
      at_ += length;
    }
  }

  bool escape(std::string& out) {
    static constexpr std::string_view names = "\"\\/bfnrt", values = "\"\\/\b\f\n\r\t";
    const size_t simple = at_ < text_.size() ? names.find(text_[at_]) : names.npos;
    if (simple != names.npos) {
      out += values[simple];
      ++at_;
      return true;
    }
    if (!take('u')) return fail("unknown escape");
    uint32_t code = 0;
    if (!hex4(code)) return false;
    if (code >= 0xD800 && code <= 0xDBFF) {
      uint32_t low = 0;
      if (!take('\\') || !take('u') || !hex4(low) || low < 0xDC00 || low > 0xDFFF) {
        return fail("a high surrogate needs a low one after it");
      }
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
      return fail("a low surrogate stands alone");
    }
    if (code == 0) return fail("U+0000 inside a text");
    append_utf8(out, code);
    return true;
  }

  bool hex4(uint32_t& code) {
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      const int digit = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return fail("expected four hexadecimal digits");
      code = code << 4 | static_cast<uint32_t>(digit);
    }
    return true;
  }

  bool digits() {
    if (!is_digit(peek())) return fail("expected a value");
    while (is_digit(peek())) ++at_;
    return true;
  }

  bool number(Json& value) {
    const size_t begin = at_;
    take('-');
    if (take('0')) {
      if (is_digit(peek())) return fail("a number must not begin with 0");
    } else if (!digits()) {
      return false;
    }
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!digits()) return false;
    }
    double result = 0;
    if (!to_double(text_.substr(begin, at_ - begin), result)) return fail("the number is out of range");
    value = Json(result);
    return true;
  }

  std::string_view text_;
  JsonLimits limits_;
  size_t at_ = 0;
  size_t n_values_ = 0;
  std::string problem_;
};

}  // namespace

const char* Json::kind_name() const {
  switch (kind()) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "true or false";
    case Kind::kNumber:
      return "a number";
    case Kind::kText:
      return "a text";
    case Kind::kArray:
      return "a list";
    case Kind::kObject:
      return "an object";
  }
  return "?";
}

const Json* Json::find(std::string_view key) const {
  const Object* members = object();
  if (!members) return nullptr;
  const auto it = std::lower_bound(members->begin(), members->end(), key,
                                   [](const Member& member, std::string_view k) { return member.key < k; });
  return it != members->end() && it->key == key ? &it->value : nullptr;
}

bool Json::integer(int64_t& value) const {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  const double* x = number();
  if (!x || std::abs(*x) > kExact || *x != std::floor(*x)) return false;
  value = static_cast<int64_t>(*x);
  return true;
}

bool parse_json(std::string_view text, Json& value, std::string& problem, const JsonLimits& limits) {
  Parser parser(text, limits);
  Json result;
  if (!parser.document(result)) {
    problem = parser.problem();
    return false;
  }
  value = std::move(result);
  return true;
}

}  // namespace ts
