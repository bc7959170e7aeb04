// SPDX-License-Identifier: Apache-2.0
#include "parts.hpp"

#include <unistd.h>

#include <cstdio>
#include <regex>

namespace bench {

void run_parts(const char* title, int count, std::vector<Part> parts, const RunOptions& options, Results& results) {
  std::erase_if(parts, [&](const Part& part) { return !std::regex_search(part.series.name(), options.filter); });
  if (options.list) {
    for (const Part& part : parts) std::puts(part.series.name().c_str());
    return;
  }
  const bool terminal = isatty(STDERR_FILENO) != 0;
  for (int round = 0; round < count; ++round) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Part& part = parts[(i + static_cast<std::size_t>(round)) % parts.size()];
      if (terminal) {
        std::fprintf(stderr, "\r\033[K%s round %d/%d  %s", title, round + 1, count, part.series.name().c_str());
      }
      part.run([&](const Series& series, double value) {
        std::vector<double>& values = results.series[series];
        values.resize(static_cast<std::size_t>(count));
        values[static_cast<std::size_t>(round)] = value;
      });
    }
    if (!terminal && !parts.empty()) std::fprintf(stderr, "%s round %d/%d done\n", title, round + 1, count);
  }
  if (terminal) std::fputs("\r\033[K", stderr);
}

}  // namespace bench
