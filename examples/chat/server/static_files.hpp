// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace chat {

/// The page's files, read once: what isn't among them can't be asked for.
class StaticFiles {
 public:
  struct File {
    std::string type;
    std::string body;
  };

  /// Reads all files of the folder. Throws std::runtime_error if there is no index.html.
  explicit StaticFiles(const std::filesystem::path& folder);

  /// The file of a request's target, such as "/style.css"; "/" is index.html. Null if there is none.
  const File* find(std::string_view target) const;

 private:
  std::map<std::string, File, std::less<>> files_;
};

}  // namespace chat
