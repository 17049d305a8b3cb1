// SPDX-License-Identifier: Apache-2.0
#include "core/text.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace ts {
namespace {

// Ends with "..." where it stopped after max_bytes.
std::string escape_controls(std::string_view text, size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= max_bytes) return out + "...";
    size_t length = utf8_length(text);
    const auto lead = static_cast<uint8_t>(text[0]);
    const bool c1 = length == 2 && lead == 0xC2 && static_cast<uint8_t>(text[1]) < 0xA0;
    if (length == 0 || lead < 0x20 || lead == 0x7F || c1) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02X", lead);
      out += escaped;
      length = 1;  // the second byte of a C1 control is no valid sequence alone, and is escaped in its turn
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  return out;
}

template <class Number>
std::string shortest(Number number) {
  char text[40] = "";
  for (int digits = 6; digits <= 17; ++digits) {
    std::snprintf(text, sizeof text, "%.*g", digits, static_cast<double>(number));
    if (static_cast<Number>(std::strtod(text, nullptr)) == number) break;
  }
  return text;
}

}  // namespace

// Unicode 15, table 3-7.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0u; };
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return text.empty() ? 0 : 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80, high = lead == 0xED ? 0x9F : 0xBF;  // overlong; surrogates
    return byte(1) >= low && byte(1) <= high && continues(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80, high = lead == 0xF4 ? 0x8F : 0xBF;  // overlong; > U+10FFFF
    return byte(1) >= low && byte(1) <= high && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

std::string_view without_cut_character(std::string_view text) {
  size_t lead = text.size();
  while (lead > 0 && (static_cast<uint8_t>(text[--lead]) & 0xC0u) == 0x80u) {
  }
  return utf8_length(text.substr(lead)) ? text : text.substr(0, lead);
}

std::string number_text(double number) { return shortest(number); }
std::string number_text(float number) { return shortest(number); }

std::string printable(std::string_view text) { return escape_controls(text, text.npos); }

std::string quoted(std::string_view text, size_t max_bytes) { return '"' + escape_controls(text, max_bytes) + '"'; }

}  // namespace ts
