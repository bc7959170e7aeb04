// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cubby::server {

class Server;

/// The content type of metrics_text().
inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

/// The server's figures as Prometheus reads them.
///
/// Thread safety: any thread.
std::string metrics_text(Server& server);

}  // namespace cubby::server
