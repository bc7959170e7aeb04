// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace cubby {

/// What went wrong. `error.code() == Errc::timeout` is how a caller tells one from another.
enum class Errc {
  key_not_found = 1,  ///< the operation needs the key, and it is absent or expired
  key_exists,         ///< rename onto a key that is there
  type_mismatch,      ///< the value is of another type than the operation works on
  overflow,           ///< an integer would leave int64
  value_too_large,    ///< above Options::max_value_bytes
  invalid_argument,   ///< a key too long, a nesting too deep, a call that isn't allowed here
  timeout,            ///< a wait ran out of time
  cancelled,          ///< a wait was stopped through its std::stop_token
  closed,             ///< the store was closed
  read_only,          ///< a write to a store that takes none
  config,             ///< options that contradict each other, or an open store
  io,                 ///< the operating system refused a file operation
  corrupt,            ///< a file is not what it should be
  parse,              ///< text is not JSON; Error::offset() tells where
  locked,             ///< another process holds the files
  wrong_key,          ///< the encryption key does not open the files
};

/// The category of `Errc`; its name is "cubby".
const std::error_category& error_category() noexcept;
std::error_code make_error_code(Errc code) noexcept;

/// The one exception type of cubby. `what()` names the operation, the store, the key and what was wrong. A call that throws it
/// has changed nothing.
class Error : public std::system_error {
 public:
  explicit Error(Errc code, std::string_view what, std::size_t offset = 0);

  const char* what() const noexcept override { return what_->c_str(); }

  /// Byte offset into the text or file where reading it failed; 0 for errors that have no place.
  std::size_t offset() const noexcept { return offset_; }

 private:
  std::shared_ptr<const std::string> what_;  // shared, as copying an exception must not throw
  std::size_t offset_;
};

}  // namespace cubby

template <>
struct std::is_error_code_enum<cubby::Errc> : std::true_type {};
