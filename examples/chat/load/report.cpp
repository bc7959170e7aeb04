// SPDX-License-Identifier: Apache-2.0
#include "load/report.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace chat::load {
namespace {

using Rounds = std::vector<Rates>;

template <class Figure>
double median(const Rounds& rounds, Figure&& figure) {
  std::vector<double> values;
  for (const Rates& rates : rounds) values.push_back(figure(rates));
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

/// Three digits, and commas between thousands.
std::string number(double value) {
  if (value > 100)
    value =
        std::round(value / std::pow(10, std::floor(std::log10(value)) - 2)) * std::pow(10, std::floor(std::log10(value)) - 2);
  std::ostringstream out;
  out << std::fixed << std::setprecision(value >= 10 ? 0 : value >= 1 ? 1 : 2) << value;
  std::string text = out.str();
  const std::size_t point = std::min(text.find('.'), text.size());
  for (std::size_t at = point; at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string time(double microseconds) {
  return microseconds < 1000 ? number(microseconds) + " µs" : number(microseconds / 1000) + " ms";
}

double requests_of(const Rates& rates) { return rates.requests; }

/// The store's rounds over those of the replaced design: median and range of the ratios, round by round.
std::string ratio(const Measured& measured, bool network, Mix mix, const std::string& store) {
  const auto replaced = measured.rounds.find({network, mix, "replaced"});
  const auto own = measured.rounds.find({network, mix, store});
  if (store == "replaced" || replaced == measured.rounds.end()) return "";
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(own->second.size(), replaced->second.size()); ++i) {
    ratios.push_back(own->second[i].requests / replaced->second[i].requests);
  }
  if (ratios.empty()) return "";
  std::sort(ratios.begin(), ratios.end());
  return number(ratios[ratios.size() / 2]) + "x (" + number(ratios.front()) + " to " + number(ratios.back()) + ")";
}

void table(std::ostream& out, const Measured& measured, bool network) {
  out << "| mix | store | requests/s | messages/s | session operations/s | p50 | p99 | p99.9 |"
      << (network ? " server's CPU a request |" : " CPU a request |")
      << " over replaced |\n|---|---|---|---|---|---|---|---|---|"
      << "---|" << '\n';
  for (const auto& [what, rounds] : measured.rounds) {
    const auto& [over_network, mix, store] = what;
    if (over_network != network) continue;
    const auto percentile = [&rounds = rounds](double part) {
      return time(median(rounds, [&](const Rates& rates) { return rates.latencies.microseconds(part); }));
    };
    out << "| " << name_of(mix) << " | " << store << " | " << number(median(rounds, requests_of)) << " | "
        << number(median(rounds, [](const Rates& rates) { return rates.messages; })) << " | "
        << number(median(rounds, [](const Rates& rates) { return rates.session_operations; })) << " | " << percentile(0.5)
        << " | " << percentile(0.99) << " | " << percentile(0.999) << " | ";
    out << time(median(rounds, [](const Rates& rates) { return rates.server_microseconds; })) << " | ";
    out << ratio(measured, network, mix, store) << " |\n";
  }
}

std::string processor() {
  std::ifstream stream("/proc/cpuinfo");
  std::string line;
  while (std::getline(stream, line)) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace

void show(const std::string& title, const Rates& rates, bool last) {
  const bool terminal = ::isatty(STDERR_FILENO) != 0;
  if (!terminal && !last) return;
  std::ostringstream out;
  out << std::left << std::setw(34) << title << std::right << std::setw(11) << number(rates.requests) << " requests/s "
      << std::setw(10) << number(rates.messages) << " messages/s " << std::setw(11) << number(rates.session_operations)
      << " session ops/s";
  if (rates.latencies.count() != 0) {
    out << "  p50 " << time(rates.latencies.microseconds(0.5)) << ", p99 " << time(rates.latencies.microseconds(0.99));
  }
  if (rates.server_microseconds > 0) out << ", CPU " << time(rates.server_microseconds) << " a request";
  std::cerr << (terminal ? "\r\033[K" : "") << out.str() << (last ? "\n" : "") << std::flush;
}

std::string tables(const Measured& measured) {
  std::ostringstream out;
  out << "Medians of interleaved rounds on " << std::thread::hardware_concurrency() << " cores, " << processor()
      << "; the last column has the median of the rounds' ratios, and their range. `cubby` is durable, `in memory` is cubby "
         "without "
         "a folder.\nThe replaced design keeps nothing on disk.\n";
  if (measured.workers != 0) {
    out << "\nWithout the network: " << measured.workers << " threads call the handler, " << measured.seconds
        << " seconds a run. Latencies are those of a call.\n\n";
    table(out, measured, false);
  }
  if (measured.connections != 0) {
    out << "\nWith it: " << measured.connections
        << " WebSockets, the generator on the same machine; the rate grows until the server "
        << "doesn't keep up, and this is the\nlast step at which it did. Latencies are from when a message was due until its "
           "sender "
           "had the answer.\n\n";
    table(out, measured, true);
  }
  return out.str();
}

void replace_section(const std::filesystem::path& path, const std::string& text) {
  std::ifstream stream(path);
  const std::string old(std::istreambuf_iterator<char>(stream), {});
  const std::string begin_marker = "<!-- measured:begin -->\n";
  const std::size_t begin = old.find(begin_marker);
  const std::size_t end = old.find("<!-- measured:end -->");
  if (begin == std::string::npos || end == std::string::npos) throw std::runtime_error("no markers in " + path.string());
  std::ofstream(path) << old.substr(0, begin + begin_marker.size()) << '\n' << text << '\n' << old.substr(end);
}

void write_plot(const std::filesystem::path& path, const Measured& measured) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path);
  const std::size_t height = 40 + measured.rounds.size() * 26 + 4 * 34;
  out << R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 )" << height
      << R"(" font-family="system-ui, sans-serif" font-size="13">)"
         "<style>text{fill:#333}.replaced{fill:#b0a795}.cubby{fill:#33705c}.memory{fill:#8fbfae}"
         "@media(prefers-color-scheme:dark){text{fill:#ddd}.replaced{fill:#7a7468}.cubby{fill:#6fc0a3}.memory{fill:#3d6b5c}}</"
         "style>\n";
  int y = 10;
  std::pair<bool, Mix> group{true, Mix::writes};
  double most = 1;
  bool first = true;
  for (const auto& [what, rounds] : measured.rounds) {
    const auto& [network, mix, store] = what;
    if (first || group != std::pair(network, mix)) {
      first = false;
      group = {network, mix};
      most = 1;
      for (const auto& [other, its] : measured.rounds) {
        if (std::get<0>(other) == network && std::get<1>(other) == mix) most = std::max(most, median(its, requests_of));
      }
      y += 24;
      out << "<text x=\"10\" y=\"" << y << "\" font-weight=\"600\">" << name_of(mix)
          << (network ? ", over WebSockets" : ", handler alone") << ": requests a second</text>\n";
      y += 10;
    }
    const double value = median(rounds, requests_of);
    const std::string kind = store == "replaced" ? "replaced" : store == "cubby" ? "cubby" : "memory";
    out << "<text x=\"10\" y=\"" << y + 14 << "\">" << store << "</text><rect class=\"" << kind << "\" x=\"140\" y=\"" << y
        << "\" width=\"" << std::round(value / most * 480) << "\" height=\"19\" rx=\"3\"/><text x=\""
        << 148 + std::round(value / most * 480) << "\" y=\"" << y + 14 << "\">" << number(value) << "</text>\n";
    y += 26;
  }
  out << "</svg>\n";
}

}  // namespace chat::load
