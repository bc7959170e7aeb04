// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace cubby::server {

/// A file of the folder dashboard/, as it was when the server was built.
struct DashboardFile {
  std::string_view name;  ///< "style.css"
  std::string_view content_type;
  std::string_view text;
};

std::span<const DashboardFile> dashboard_files();

}  // namespace cubby::server
