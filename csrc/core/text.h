// SPDX-License-Identifier: Apache-2.0
// text — untrusted text on its way into a message: valid UTF-8, no control characters, so that it is safe in a
// terminal and every language can read it.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace ts {

// Bytes of the UTF-8 sequence at the start of `text`, or 0 when it is not a valid one.
size_t utf8_length(std::string_view text);

// The text without the character that a cut has left incomplete at its end, if any.
std::string_view without_cut_character(std::string_view text);

// The text with control characters and broken UTF-8 as \xXX.
std::string printable(std::string_view text);

// The same in quotes, and no longer than `max_bytes` or so.
std::string quoted(std::string_view text, size_t max_bytes = 80);

// The shortest decimal that reads as this number and no other: 60.0000001 is not shown as 60.
std::string number_text(double number);
std::string number_text(float number);

}  // namespace ts
