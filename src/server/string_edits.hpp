// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/command.hpp"

/// The string commands that read or change a part of a string or count with it; the table is in commands_strings.cpp.

namespace cubby::server {

void run_append(Call& call);
void run_strlen(Call& call);
void run_getrange(Call& call);
void run_setrange(Call& call);
void run_incr(Call& call);
void run_decr(Call& call);
void run_incrby(Call& call);
void run_decrby(Call& call);
void run_incrbyfloat(Call& call);

}  // namespace cubby::server
