// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace cubby::server {

/// `text` as it stands between the quotes of a line of the log, name="value": with \" for a quote, and in one line.
std::string log_text(std::string_view text);

}  // namespace cubby::server
