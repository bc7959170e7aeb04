// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

/// What the command tells its caller; `cubby --help` lists the same.
namespace cubby::cli {

enum ExitCode : int {
  kExitOk = 0,
  kExitNo = 1,     ///< a key is absent (or, for rename and set --once, already there), the answer is false, a folder is damaged
  kExitUsage = 2,  ///< the command line, or a value given on it or on standard input, is wrong
  kExitStore = 3,  ///< the store: missing, damaged, in use, not writable, a value of the wrong type, ...
  kExitOutput = 5,         ///< it was done, but standard output could not be written
  kExitUnverified = 4,     ///< the demo found something it could not verify
  kExitInterrupted = 130,  ///< the demo was interrupted before there was anything to verify
};

/// The command line is wrong: kExitUsage. The text names the thing and says what to do.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Something outside is not as the command needs it: kExitStore. Likewise.
struct StoreError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The answer is no: kExitNo. The text says why; it may be empty where standard output has said it.
struct AnswerNo : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace cubby::cli
