// SPDX-License-Identifier: Apache-2.0
// What the fuzzers of file readers share: mutations of a good safetensors file, and main(). A fuzzer defines kFuzzer,
// its name, and check_one(). Meant to run under AddressSanitizer and UBSan.
//
//   FUZZER FILE SECONDS SEED         mutates FILE, which is good, for so long
//   FUZZER FILE SECONDS SEED RUN     repeats one run, as printed when it crashed
//
// With TS_LIBFUZZER defined (clang -fsanitize=fuzzer) it is a libFuzzer target instead.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define REQUIRE(holds)                                                               \
  do {                                                                               \
    if (!(holds)) {                                                                  \
      std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #holds); \
      std::abort();                                                                  \
    }                                                                                \
  } while (0)

extern const char* const kFuzzer;
bool check_one(const uint8_t* data, size_t size);  // true when the bytes were accepted

// From a block of its own, of the exact size: a read past its end is caught.
inline bool check_copy(const uint8_t* data, size_t size) {
  uint8_t* copy = static_cast<uint8_t*>(std::malloc(size ? size : 1));
  if (size) std::memcpy(copy, data, size);
  const bool accepted = check_one(copy, size);
  std::free(copy);
  return accepted;
}

#ifdef TS_LIBFUZZER

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check_copy(data, size);
  return 0;
}

#else

#include <chrono>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#if defined(__has_feature)
#define TS_HAS_FEATURE(feature) __has_feature(feature)
#else
#define TS_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || TS_HAS_FEATURE(address_sanitizer)  // GCC's word, Clang's
#define TS_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif

namespace {

using Bytes = std::vector<uint8_t>;

unsigned long long seed, run;

class Mutator {
 public:
  Mutator(const Bytes& original, uint64_t key) : file_(original), random_(key) {}

  Bytes mutate() {
    for (size_t n = 1 + below(4); n > 0; --n) {
      switch (below(8)) {
        case 0:
          if (!file_.empty()) file_[below(file_.size())] ^= static_cast<uint8_t>(1u << below(8));
          break;
        case 1:
          if (!file_.empty()) file_[below(file_.size())] = static_cast<uint8_t>(below(256));
          break;
        case 2:
          length();
          break;
        case 3:
          file_.resize(below(2) ? below(file_.size() + 1) : file_.size() + 1 + below(64));
          break;
        case 4:
          word();
          break;
        default:
          text();
      }
    }
    return std::move(file_);
  }

 private:
  size_t below(size_t n) { return static_cast<size_t>(random_() % n); }

  uint64_t header_bytes() const {
    uint64_t n = 0;
    if (file_.size() >= 8) std::memcpy(&n, file_.data(), 8);
    return n;
  }

  void length() {
    if (file_.size() < 8) return;
    const uint64_t size = file_.size(), now = header_bytes();
    const uint64_t choices[] = {0,        1,    now - 8,           now + 8,           now + 1,     size - 8,
                                size - 7, size, uint64_t{1} << 24, uint64_t{1} << 63, ~uint64_t{0}};
    const uint64_t pick = choices[below(std::size(choices))];
    std::memcpy(file_.data(), &pick, 8);
  }

  // A word of the data becomes a bad float or a bad index.
  void word() {
    const uint64_t begin = 8 + header_bytes();
    if (begin >= file_.size() || file_.size() - begin < 4) return;
    const uint32_t choices[] = {0, 1, 0x7FC00000, 0x7F800000, 0xFF800000, 0x3F800001, 0x80000000, ~0u, 0x7F7FFFFF, 6};
    const uint32_t pick = choices[below(std::size(choices))];
    const uint64_t at = begin + below((file_.size() - begin) / 4) * 4;
    std::memcpy(file_.data() + at, &pick, 4);
  }

  // The header's text changes and its length with it, so that the parser sees what lies behind.
  void text() {
    const uint64_t n = header_bytes();
    if (n == 0 || file_.size() < 8 || n > file_.size() - 8) return;
    std::string header(file_.begin() + 8, file_.begin() + 8 + static_cast<int64_t>(n));
    edit(header);
    header.resize((header.size() + 7) / 8 * 8, ' ');
    Bytes out(8);
    const uint64_t size = header.size();
    std::memcpy(out.data(), &size, 8);
    out.insert(out.end(), header.begin(), header.end());
    out.insert(out.end(), file_.begin() + 8 + static_cast<int64_t>(n), file_.end());
    file_ = std::move(out);
  }

  void edit(std::string& header) {
    static const char* const tokens[] = {"0",        "1",          "-1",
                                         "2",        "9",          "4096",
                                         "16777217", "4294967296", "1e999",
                                         "1e38",     "0.5",        "-0",
                                         "01",       "null",       "true",
                                         "[]",       "{}",         "[[[[[[[[",
                                         "\"",       "\\\"",       "\\",
                                         ",",        "]",          "}",
                                         "\\u0000",  "\xFF",       "\\\"a\\\"",
                                         "F64",      "U8",         "none",
                                         "static",   "vertex",     "9223372036854775808"};
    const std::string token = tokens[below(std::size(tokens))];
    const size_t at = below(header.size());
    switch (below(6)) {
      case 0:
        header.insert(at, token);
        break;
      case 3: {  // a word of the manifest, between \" and \", becomes another
        const std::string word = word_at(header, below(header.size()));
        const size_t begin = header.find("\\\"", at);
        const size_t end = begin == std::string::npos ? begin : header.find("\\\"", begin + 2);
        if (end != std::string::npos) header.replace(begin + 2, end - begin - 2, word);
        break;
      }
      case 1:
        header.erase(at, 1 + below(40));
        break;
      case 2:
        header.insert(below(header.size()), header.substr(at, 1 + below(200)));
        break;
      default: {  // a number becomes another
        const size_t begin = header.find_first_of("0123456789", at);
        if (begin == std::string::npos) return;
        const size_t end = header.find_first_not_of("0123456789.", begin);
        header.replace(begin, end == std::string::npos ? end : end - begin, token);
      }
    }
  }

  static std::string word_at(const std::string& header, size_t at) {
    const size_t begin = header.find("\\\"", at);
    const size_t end = begin == std::string::npos ? begin : header.find("\\\"", begin + 2);
    return end == std::string::npos ? "" : header.substr(begin + 2, end - begin - 2);
  }

  Bytes file_;
  std::mt19937_64 random_;
};

#if defined(TS_ADDRESS_SANITIZER)
void print_run() { std::fprintf(stderr, "%s: seed %llu, run %llu\n", kFuzzer, seed, run); }
#endif

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: %s FILE SECONDS SEED [RUN]\n", kFuzzer);
    return 2;
  }
  std::ifstream stream(argv[1], std::ios::binary);
  const Bytes original((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const double seconds = std::atof(argv[2]);
  seed = std::strtoull(argv[3], nullptr, 10);
  if (!check_copy(original.data(), original.size())) {
    std::fprintf(stderr, "%s: %s must be a good file to begin with\n", kFuzzer, argv[1]);
    return 1;
  }
#if defined(TS_ADDRESS_SANITIZER)
  __sanitizer_set_death_callback(print_run);
#endif
  const bool replay = argc == 5;
  if (replay) run = std::strtoull(argv[4], nullptr, 10);
  unsigned long long accepted = 0, n_runs = 0;
  const auto start = std::chrono::steady_clock::now();
  do {
    // Each run depends on its number alone, so that one can be repeated.
    const Bytes file = Mutator(original, seed * 0x9E3779B97F4A7C15u + run).mutate();
    accepted += check_copy(file.data(), file.size());
    ++n_runs, ++run;
  } while (!replay && std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds);
  std::printf("%s: %llu files, %llu accepted, %llu refused\n", kFuzzer, n_runs, accepted, n_runs - accepted);
  // Mutations that are all refused, or all accepted, test little.
  return replay || (accepted > 0 && accepted < n_runs) ? 0 : 1;
}

#endif
