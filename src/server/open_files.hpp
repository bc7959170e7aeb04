// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace cubby::server {

/// Raises this process's limit of open files, as far as the system lets it, so that `clients` fit beside the files of the
/// stores. How many do fit, `clients` at most.
std::size_t make_room_for_clients(std::size_t clients);

}  // namespace cubby::server
