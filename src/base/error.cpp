// SPDX-License-Identifier: Apache-2.0
#include <cubby/error.hpp>

namespace cubby {

namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "cubby"; }

  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::key_not_found:
        return "the key is not there";
      case Errc::key_exists:
        return "the key is there already";
      case Errc::type_mismatch:
        return "the value is of another type";
      case Errc::overflow:
        return "the integer would leave 64 bits";
      case Errc::value_too_large:
        return "the value is too large";
      case Errc::invalid_argument:
        return "an argument is not allowed";
      case Errc::timeout:
        return "the time is up";
      case Errc::cancelled:
        return "the call was cancelled";
      case Errc::closed:
        return "the store is closed";
      case Errc::read_only:
        return "the store is read-only";
      case Errc::config:
        return "the options contradict each other or the open store";
      case Errc::io:
        return "a file operation failed";
      case Errc::corrupt:
        return "the file is damaged";
      case Errc::parse:
        return "the text is not JSON";
      case Errc::locked:
        return "another process holds the files";
      case Errc::wrong_key:
        return "the encryption key does not open the files";
    }
    return "unknown error " + std::to_string(code);
  }
};

}  // namespace

const std::error_category& error_category() noexcept {
  // Never destroyed: error codes may be compared while the process exits.
  static const Category* const category = new Category;
  return *category;
}

std::error_code make_error_code(Errc code) noexcept { return {static_cast<int>(code), error_category()}; }

Error::Error(Errc code, std::string_view what, std::size_t offset)
    : std::system_error(make_error_code(code)), what_(std::make_shared<const std::string>(what)), offset_(offset) {}

}  // namespace cubby
