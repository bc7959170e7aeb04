// SPDX-License-Identifier: Apache-2.0

// What the pages and the packaged configuration say of the settings is what the server has.

#include "server/settings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace cubby::server {
namespace {

const std::filesystem::path kProject = CUBBY_PROJECT_DIR;

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::ifstream in(kProject / file);
  EXPECT_TRUE(in) << file;
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// A `|` within a cell of a table of Markdown.
std::string in_cell(std::string_view text) {
  std::string cell;
  for (const char byte : text) {
    if (byte == '|') cell += '\\';
    cell += byte;
  }
  return cell;
}

std::string row_of(const Setting& setting) {
  const std::string value = setting.get(Settings());
  std::string row = "| `" + std::string(setting.name) + "` | " + in_cell(setting.value_name) + " | ";
  row += value.empty() ? " | " : "`" + value + "` | ";
  row += setting.while_running ? "yes | " : " | ";
  return row + in_cell(setting.help) + " |";
}

TEST(Pages, TheTableOfSettingsIsTheServers) {
  std::vector<std::string> rows;
  bool inside = false;
  for (const std::string& line : lines_of("docs/serve.md")) {
    if (line == "<!-- settings:end -->") inside = false;
    if (inside && line.starts_with("| `")) rows.push_back(line);
    if (line == "<!-- settings:begin -->") inside = true;
  }
  std::vector<std::string> expected;
  for (const Setting& setting : all_settings()) expected.push_back(row_of(setting));
  EXPECT_EQ(rows, expected);
}

TEST(Pages, TheManualHasAllSettings) {
  std::map<std::string, std::string> described;  // by the line of its name, the line behind it
  const std::vector<std::string> lines = lines_of("packaging/cubby-serve.1");
  for (std::size_t index = 0; index + 1 < lines.size(); ++index) {
    if (lines[index].starts_with(".It Fl -")) {
      described[lines[index].substr(8, lines[index].find(' ', 8) - 8)] = lines[index + 1];
    }
  }
  EXPECT_EQ(described.size(), all_settings().size());
  for (const Setting& setting : all_settings()) {
    EXPECT_EQ(described[std::string(setting.name)], std::string(setting.help) + ".") << setting.name;
  }
}

TEST(Pages, ThePackagedConfigurationHasAllSettingsAsTheyAreByDefault) {
  // A setting is a comment of a name and a value; sentences begin with a capital letter.
  Settings from_comments;
  std::map<std::string, int> there;
  Settings from_lines;
  for (const std::string& line : lines_of("packaging/cubby.conf")) {
    const bool comment = line.starts_with("# ");
    const std::string text = comment ? line.substr(2) : line;
    const std::string name = text.substr(0, text.find(' '));
    const bool capital = !name.empty() && name.front() >= 'A' && name.front() <= 'Z';
    if (text.empty() || text.front() == '#' || (comment && (capital || find_setting(name) == nullptr))) continue;
    const std::vector<std::string> words = split_words(text);
    const std::vector<std::string> value(words.begin() + 1, words.end());
    (comment ? from_comments : from_lines).set(name, value);
    ++there[name];
  }
  for (const Setting& setting : all_settings()) {
    EXPECT_EQ(there[std::string(setting.name)], 1) << setting.name;
    EXPECT_EQ(setting.get(from_comments), setting.get(Settings())) << setting.name;
    if (setting.name != "dir") {
      EXPECT_EQ(setting.get(from_lines), setting.get(Settings())) << setting.name;
    }
  }
  EXPECT_EQ(from_lines.dir, "/var/lib/cubby");
  Settings read;
  read.read(kProject / "packaging" / "cubby.conf");
  EXPECT_NO_THROW(read.check());
}

TEST(Pages, TheUnitHasAPrivatePlaceForSecrets) {
  // The minus: it need not be there.
  const std::vector<std::string> unit = lines_of("packaging/cubby.service");
  EXPECT_EQ(std::count(unit.begin(), unit.end(), "EnvironmentFile=-/etc/cubby/environment"), 1);
  for (const char* page : {"packaging/cubby.conf", "docs/serve.md", "packaging/cubby-serve.1"}) {
    const std::vector<std::string> lines = lines_of(page);
    const auto names_it = [](const std::string& line) { return line.find("/etc/cubby/environment") != std::string::npos; };
    EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), names_it)) << page;
  }
}

}  // namespace
}  // namespace cubby::server
