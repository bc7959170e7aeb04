// SPDX-License-Identifier: Apache-2.0
#include "plot.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <stdexcept>

#include "statistics.hpp"

namespace bench {
namespace {

constexpr int kLabels = 190;
constexpr int kPanel = 175;
constexpr int kGap = 50;
constexpr int kBar = 16;
constexpr int kHead = 46;

const char* style_of(const std::string& store) {
  if (store == "cubby") return "cubby";
  if (store.starts_with("replaced")) return "replaced";
  if (store.starts_with("unsynchronised")) return "ceiling";
  return "peer";
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

void write_plot(const std::filesystem::path& path, const std::vector<std::string>& workloads, const Results& results) {
  const std::vector<std::pair<std::size_t, int>> columns = {{20'000, 2}, {20'000, 1000}, {1'000'000, 2}, {1'000'000, 1000}};
  std::vector<std::string> stores = {"cubby"};
  for (const auto& [series, measured] : results.series) {
    if (std::find(workloads.begin(), workloads.end(), series.workload) == workloads.end()) continue;
    if (std::find(stores.begin(), stores.end(), series.store) == stores.end()) stores.push_back(series.store);
  }
  const int panel_height = kHead + kBar * static_cast<int>(stores.size());
  const int width = kLabels + (kPanel + kGap) * static_cast<int>(columns.size());
  const int height = 24 + panel_height * static_cast<int>(workloads.size());

  std::ofstream out(path);
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << width << " " << height << "\" width=\"" << width
      << "\" height=\"" << height << "\">\n"
      << "<style>text{font:12px sans-serif;fill:#333}.head{font-weight:600}.cubby{fill:#3b82d6}.peer{fill:#9097a1}"
         ".replaced{fill:#c9825b}.ceiling{fill:none;stroke:#9097a1;stroke-dasharray:3 2}.axis{stroke:#9097a1}"
         "@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>\n"
      << "<text x=\"0\" y=\"14\">Million operations a second; dashed: no synchronisation at all</text>\n";
  for (std::size_t row = 0; row < workloads.size(); ++row) {
    const int top = 24 + panel_height * static_cast<int>(row);
    out << "<text class=\"head\" x=\"0\" y=\"" << top + 30 << "\">" << escaped(workloads[row]) << "</text>\n";
    for (std::size_t i = 0; i < stores.size(); ++i) {
      out << "<text x=\"" << kLabels - 8 << "\" y=\"" << top + kHead + kBar * static_cast<int>(i) + 1
          << "\" text-anchor=\"end\">" << escaped(stores[i]) << "</text>\n";
    }
    for (std::size_t column = 0; column < columns.size(); ++column) {
      const auto& [entries, threads] = columns[column];
      const int left = kLabels + (kPanel + kGap) * static_cast<int>(column);
      std::vector<double> medians;
      for (const std::string& store : stores) {
        const auto summary = summarise(rates(results, {workloads[row], entries, threads, store}));
        medians.push_back(summary ? summary->median : 0.0);
      }
      const double highest = std::max(*std::max_element(medians.begin(), medians.end()), 1.0);
      out << "<text x=\"" << left << "\" y=\"" << top + 30 << "\">" << with_commas(entries) << " keys, "
          << with_commas(static_cast<std::size_t>(threads)) << " threads</text>\n";
      for (std::size_t i = 0; i < stores.size(); ++i) {
        if (medians[i] <= 0) continue;
        const int y = top + kHead - 10 + kBar * static_cast<int>(i);
        const int length = std::max(1, static_cast<int>(medians[i] / highest * kPanel));
        out << "<rect class=\"" << style_of(stores[i]) << "\" x=\"" << left << "\" y=\"" << y << "\" width=\"" << length
            << "\" height=\"" << kBar - 4 << "\"/><text x=\"" << left + length + 4 << "\" y=\"" << y + 11 << "\">"
            << decimal(medians[i] / 1e6) << "</text>\n";
      }
      out << "<path class=\"axis\" d=\"M" << left << " " << top + kHead - 13 << "v"
          << kBar * static_cast<int>(stores.size()) + 2 << "\"/>\n";
    }
  }
  out << "</svg>\n";
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace bench
