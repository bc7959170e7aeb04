// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace cubby::server {

class Server;

/// What INFO answers, with Redis's sections and fields, as far as they mean something here. No sections: those that Redis shows
/// by default. Names of sections there are none of are passed over, as Redis does.
///
/// Thread safety: a plain function.
std::string server_info(Server& server, std::span<const std::string_view> sections);

}  // namespace cubby::server
