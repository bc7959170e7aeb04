// SPDX-License-Identifier: Apache-2.0
// The public headers in a second translation unit of the program: nothing may be defined twice.

#include <cubby/cubby.hpp>

std::size_t keys_of(const cubby::Datastore& store) { return store.size(); }
