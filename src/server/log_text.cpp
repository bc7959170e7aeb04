// SPDX-License-Identifier: Apache-2.0
#include "server/log_text.hpp"

namespace cubby::server {

std::string log_text(std::string_view text) {
  constexpr char kHexDigits[] = "0123456789abcdef";
  std::string out;
  for (const char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    if (byte == '"' || byte == '\\') {
      out.append(1, '\\').append(1, byte);
    } else if (code < 0x20 || code == 0x7f) {
      out.append("\\x").append(1, kHexDigits[code >> 4]).append(1, kHexDigits[code & 15]);
    } else {
      out += byte;
    }
  }
  return out;
}

}  // namespace cubby::server
