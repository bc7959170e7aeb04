// SPDX-License-Identifier: Apache-2.0
#include "server/reply.hpp"

#include <cmath>
#include <cstdio>

namespace cubby::server {

void Reply::line(char kind, std::string_view text) {
  char* to = out_.room(text.size() + 3);
  *to = kind;
  if (!text.empty()) std::memcpy(to + 1, text.data(), text.size());
  to[text.size() + 1] = '\r';
  to[text.size() + 2] = '\n';
  out_.add(text.size() + 3);
}

void Reply::error(std::string_view text) {
  while (text.ends_with('\r') || text.ends_with('\n')) text.remove_suffix(1);
  char* to = out_.room(text.size() + 3);
  line('-', text);
  for (std::size_t index = 1; index <= text.size(); ++index) {
    if (to[index] == '\r' || to[index] == '\n') to[index] = ' ';
  }
}

void Reply::real(double number) {
  char text[64];
  std::size_t size = 0;
  if (std::isinf(number)) {
    size = static_cast<std::size_t>(std::snprintf(text, sizeof text, "%s", number > 0 ? "inf" : "-inf"));
  } else if (std::isnan(number)) {
    size = static_cast<std::size_t>(std::snprintf(text, sizeof text, "nan"));
  } else {
    size = static_cast<std::size_t>(std::snprintf(text, sizeof text, "%.17g", number));
  }
  protocol_ == 2 ? bulk(std::string_view(text, size)) : line(',', {text, size});
}

void Reply::verbatim(std::string_view text) {
  if (protocol_ == 2) return bulk(text);
  number_line('=', static_cast<std::int64_t>(text.size() + 4));
  out_.append("txt:");
  out_.append(text);
  out_.append("\r\n");
}

}  // namespace cubby::server
