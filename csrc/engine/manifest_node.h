// SPDX-License-Identifier: Apache-2.0
// Node — a place in a manifest, checked as it is read, so that every error names the key, what it must be and what it
// is. Used for avatars and voices: the root is told what an error of its kind of file is called.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/status.h"
#include "core/text.h"

namespace ts::manifest {

inline std::string show(const Json& value) {
  if (const std::string* text = value.text()) return quoted(*text);
  if (const bool* flag = value.boolean()) return *flag ? "true" : "false";
  if (const double* number = value.number()) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.10g", *number);
    return buffer;
  }
  if (value.array()) return "a list of " + std::to_string(value.array()->size());
  return value.kind_name();
}

// A place in the manifest: its value and its path, "camera.fx". A place that is missing remembers why, so that a
// chain of at() needs one check, at its end.
class Node {
 public:
  // The root. `invalid` is the code of every error below it.
  Node(const Json& root, StatusCode invalid) : Node(&root, "", "", invalid) {}

  Node at(const char* key) const {
    if (!value_) return *this;
    if (!value_->object()) return missing(path_, path_ + " must be an object; got " + show(*value_));
    const std::string path = path_.empty() ? key : path_ + "." + key;
    const Json* child = value_->find(key);
    return child ? Node(child, path, "", invalid_) : missing(path, path + " is missing");
  }
  Node at(size_t i) const { return Node(&(*value_->array())[i], path_ + "[" + std::to_string(i) + "]", "", invalid_); }

  bool absent() const { return !value_; }
  bool null() const { return value_ && value_->kind() == Json::Kind::kNull; }

  // What is wrong with the manifest at large, in a sentence that names the place itself.
  Status invalid(const std::string& problem) const { return Status(invalid_, "manifest: " + problem); }

  // "PATH must CONTRACT; got VALUE" unless it holds.
  Status require(bool holds, const std::string& contract) const {
    if (!value_) return invalid(problem_);
    if (holds) return Status();
    return invalid(path_ + " must " + contract + "; got " + show(*value_));
  }

  Status text(std::string& out) const {
    TS_RETURN_IF_ERROR(require(value_ && value_->text(), "be a text"));
    out = *value_->text();
    return Status();
  }
  Status name(std::string& out) const {
    TS_RETURN_IF_ERROR(text(out));
    return require(!out.empty(), "not be empty");
  }
  Status is_text() const { return require(value_ && value_->text(), "be a text"); }

  Status boolean(bool& out) const {
    TS_RETURN_IF_ERROR(require(value_ && value_->boolean(), "be true or false"));
    out = *value_->boolean();
    return Status();
  }

  template <class T>
  Status integer(int64_t low, int64_t high, T& out) const {
    int64_t x = 0;
    TS_RETURN_IF_ERROR(require(value_ && value_->integer(x) && x >= low && x <= high,
                               "be an integer from " + std::to_string(low) + " to " + std::to_string(high)));
    out = static_cast<T>(x);
    return Status();
  }

  Status number(float& out) const {
    constexpr double kMax = std::numeric_limits<float>::max();
    const double* x = value_ ? value_->number() : nullptr;
    TS_RETURN_IF_ERROR(require(x && std::abs(*x) <= kMax, "be a number that a 32-bit float can hold"));
    out = static_cast<float>(*x);
    return Status();
  }

  // Of a place that number() has accepted, as written.
  double real() const { return *value_->number(); }

  // size < 0: any.
  Status list(int64_t size, size_t& count) const {
    const bool is_list = value_ && value_->array();
    TS_RETURN_IF_ERROR(require(is_list, "be a list"));
    count = value_->array()->size();
    return require(size < 0 || static_cast<int64_t>(count) == size, "have " + std::to_string(size) + " entries");
  }

  Status numbers(int64_t size, float* out) const {
    size_t count = 0;
    TS_RETURN_IF_ERROR(list(size, count));
    for (size_t i = 0; i < count; ++i) TS_RETURN_IF_ERROR(at(i).number(out[i]));
    return Status();
  }

  Status integers(int64_t size, int64_t low, int64_t high, std::vector<int>& out) const {
    size_t count = 0;
    TS_RETURN_IF_ERROR(list(size, count));
    out.resize(count);
    for (size_t i = 0; i < count; ++i) TS_RETURN_IF_ERROR(at(i).integer(low, high, out[i]));
    return Status();
  }

  // One of the given words; `out` becomes the enumerator of its index.
  template <class Enum>
  Status choice(std::initializer_list<const char*> words, Enum& out) const {
    std::string contract = "be one of";
    int i = 0;
    for (const char* word : words) {
      if (value_ && value_->text() && *value_->text() == word) {
        out = static_cast<Enum>(i);
        return Status();
      }
      contract += (i++ ? ", " : " ") + quoted(word);
    }
    return require(false, contract);
  }

 private:
  Node(const Json* value, std::string path, std::string problem, StatusCode invalid)
      : value_(value), path_(std::move(path)), problem_(std::move(problem)), invalid_(invalid) {}
  Node missing(std::string path, std::string problem) const {
    return Node(nullptr, std::move(path), std::move(problem), invalid_);
  }

  const Json* value_;  // nullptr: missing
  std::string path_;
  std::string problem_;  // why it is missing
  StatusCode invalid_;
};

// Parses an object of a `format` up to `newest`, which is asked first: a newer manifest may differ in all the rest.
inline Status parse(const std::string& text, int64_t newest, StatusCode invalid, Json& json) {
  std::string problem;
  const bool parsed = parse_json(text, json, problem);
  const Node root(json, invalid);
  if (!parsed) return root.invalid("not valid JSON: " + problem);
  if (!json.object()) return root.invalid(std::string("must be an object; it is ") + json.kind_name());
  int64_t format = 0;
  TS_RETURN_IF_ERROR(root.at("format").integer(1, int64_t{1} << 31, format));
  if (format <= newest) return Status();
  return root.invalid("format " + std::to_string(format) + " was made by a newer talksplat; this one reads up to " +
                      std::to_string(newest) + ". Upgrade talksplat");
}

}  // namespace ts::manifest
