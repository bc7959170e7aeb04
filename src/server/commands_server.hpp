// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/command.hpp"

/// Those of server_commands() that have a file of their own.

namespace cubby::server {

void run_config(Call& call);
void check_config(Arguments arguments);
void run_acl(Call& call);
void check_acl(Arguments arguments);

}  // namespace cubby::server
