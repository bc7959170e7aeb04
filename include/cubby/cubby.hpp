// SPDX-License-Identifier: Apache-2.0
#pragma once

/// All of cubby. docs/guide.md is the tour.

#include <cubby/datastore.hpp>
#include <cubby/error.hpp>
#include <cubby/key_version.hpp>
#include <cubby/options.hpp>
#include <cubby/transaction.hpp>
#include <cubby/value.hpp>
#include <cubby/version.hpp>
#include <cubby/waiting.hpp>
