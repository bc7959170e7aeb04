// SPDX-License-Identifier: Apache-2.0
#include "server/static_files.hpp"

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace chat {
namespace {

std::string type_of(const std::filesystem::path& path) {
  const std::string extension = path.extension();
  if (extension == ".html") return "text/html; charset=utf-8";
  if (extension == ".css") return "text/css; charset=utf-8";
  if (extension == ".js") return "text/javascript; charset=utf-8";
  if (extension == ".svg") return "image/svg+xml";
  if (extension == ".webmanifest") return "application/manifest+json";
  return "application/octet-stream";
}

}  // namespace

StaticFiles::StaticFiles(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / "index.html")) {
    throw std::runtime_error("no page in " + folder.string() + ": give its folder with --page");
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    std::string body(std::istreambuf_iterator<char>(stream), {});
    files_["/" + entry.path().lexically_relative(folder).generic_string()] = {type_of(entry.path()), std::move(body)};
  }
  files_["/"] = files_["/index.html"];
}

const StaticFiles::File* StaticFiles::find(std::string_view target) const {
  const auto found = files_.find(target.substr(0, target.find('?')));
  return found == files_.end() ? nullptr : &found->second;
}

}  // namespace chat
