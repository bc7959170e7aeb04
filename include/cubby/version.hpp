// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The release this header belongs to, "major.minor.patch". CMake and the packages read it from here.
#define CUBBY_VERSION "0.1.0"
