// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <cubby/datastore.hpp>
#include <cubby/value.hpp>

/// Values for the dashboard: as much of one as a page can show, and no more, however large it is.
///
/// A value is described by an object. `type` is that of cubby. Its `text` are the digits of a number (JavaScript has none for
/// all integers), the beginning of a string, or of a binary in hexadecimal digits; `size` is how many bytes, elements or
/// members there are. `items` are some of an array's elements, `members` some of an object's members, each as [name, value], or
/// [name to show, value, name percent-encoded] where the name isn't UTF-8; `from` is the place of the first of them.
/// Neither is there where nothing of it is shown: one asks again for that part.
///
/// Thread safety: plain functions.

namespace cubby::server {

struct TreeLimits {
  std::size_t children = 100;  ///< of an array or object
  std::size_t values = 1000;   ///< in all
  std::size_t text = 2000;     ///< bytes of one string or binary
  std::size_t all_text = std::size_t{200} << 10;
  std::size_t depth = 3;  ///< levels that are shown below the first
};

/// The part of a key's value that `path`, a JSON pointer, leads to, its children from `from` on. Empty if there is none. Throws
/// cubby::Error.
std::optional<Value> value_tree(Datastore& store, std::string_view key, std::string_view path, std::size_t from,
                                const TreeLimits& limits);

/// A key's value as a whole.
struct WholeValue {
  Value value;
  bool found = false;
  bool too_large = false;  ///< more than asked for: there is no value
};
WholeValue whole_value(Datastore& store, std::string_view key, std::size_t most_bytes);

/// Text to show for bytes: as they are if they are UTF-8, with \xNN for those that aren't otherwise.
std::string shown_text(std::string_view bytes);

}  // namespace cubby::server
