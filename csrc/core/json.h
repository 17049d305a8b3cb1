// SPDX-License-Identifier: Apache-2.0
// Json — a strict parser for the small, untrusted texts in an avatar file (RFC 8259), so that the core needs no
// library for it. Stricter than the RFC where leniency would let two readers disagree or a text misbehave in C:
// duplicate keys, invalid UTF-8, lone surrogates, U+0000 and numbers that are not finite doubles are errors.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ts {

class Json {
 public:
  struct Member;
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;  // sorted by key
  enum class Kind { kNull, kBool, kNumber, kText, kArray, kObject };

  Json() = default;
  explicit Json(bool value) : value_(value) {}
  explicit Json(double value) : value_(value) {}
  explicit Json(std::string value) : value_(std::move(value)) {}
  explicit Json(Array value) : value_(std::move(value)) {}
  explicit Json(Object value) : value_(std::move(value)) {}

  Kind kind() const { return static_cast<Kind>(value_.index()); }
  const char* kind_name() const;  // "null", "true or false", "a number", ...

  // nullptr when the value is of another kind.
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  const double* number() const { return std::get_if<double>(&value_); }
  const std::string* text() const { return std::get_if<std::string>(&value_); }
  const Array* array() const { return std::get_if<Array>(&value_); }
  const Object* object() const { return std::get_if<Object>(&value_); }

  // The member with this key; nullptr when there is none or this is not an object.
  const Json* find(std::string_view key) const;
  // The number as an integer; false when it is not one, or its magnitude is above 2^53 (where doubles skip some).
  bool integer(int64_t& value) const;

 private:
  std::variant<std::monostate, bool, double, std::string, Array, Object> value_;  // in the order of Kind
};

struct Json::Member {
  std::string key;
  Json value;
};

struct JsonLimits {
  size_t bytes = size_t{16} << 20;
  int depth = 32;                   // of nested arrays and objects
  size_t values = size_t{1} << 18;  // bounds what a hostile text can make us allocate to tens of megabytes
};

// Parses one value with nothing but white space around it. On failure returns false, leaves `value` as it was and
// sets `problem` to what is wrong and at which byte.
bool parse_json(std::string_view text, Json& value, std::string& problem, const JsonLimits& limits = {});

}  // namespace ts
