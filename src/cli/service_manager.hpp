// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cubby::cli {

/// Tells systemd how the service is doing ("READY=1"), if it has asked to be told: sd_notify(3) without its library.
void tell_service_manager(const std::string& state) noexcept;

}  // namespace cubby::cli
