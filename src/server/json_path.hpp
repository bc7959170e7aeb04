// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <cubby/value.hpp>

namespace cubby::server {

/// What one command may do on its way along paths: the time and the memory that it takes are bounded, however the values nest.
///
/// Thread safety: as an int.
class JsonEffort {
 public:
  static constexpr std::size_t kMostSteps = std::size_t{1} << 25;
  /// To be replied about, and to be replaced: the latter take ten times the memory.
  static constexpr std::size_t kMostFound = std::size_t{1} << 22, kMostReplaced = std::size_t{1} << 20;

  /// Before a value is looked at. Throws CommandError.
  void step() {
    if (steps_left_-- == 0) [[unlikely]]
      fail();
  }

 private:
  [[noreturn]] void fail();

  std::size_t steps_left_ = kMostSteps;
};

/// A path into a JSON value, as the JSON commands take it.
///
///   $                the value itself           $.name  $['name']  $["name"]     a member
///   $[2]  $[-1]      an element                 $.*  $[*]                        all members or elements
///   $..name  $..[0]  $..*                       the same of the value and of all that lies in it
///
/// A path that doesn't begin with `$.` or `$[` (and isn't `$`) is a legacy one: "." is the value itself, and "a[0]" or ".a[0]"
/// is `$.a[0]`, of which commands reply the first match instead of an array of all. Filters, slices and unions aren't there.
///
/// Thread safety: as an int.
class JsonPath {
 public:
  enum class Kind : std::uint8_t { member, element, all };
  struct Step {
    Kind kind;
    bool descends;  ///< behind `..`
    std::string name;
    std::int64_t index;  ///< negative: from the end
  };

  /// Throws CommandError.
  explicit JsonPath(std::string_view text);

  bool is_legacy() const noexcept { return legacy_; }
  /// As it was given.
  const std::string& text() const noexcept { return text_; }
  /// Beginning with `$`.
  const std::string& full_text() const noexcept { return full_text_; }
  const std::vector<Step>& steps() const noexcept { return steps_; }

  bool is_root() const noexcept { return steps_.empty(); }
  /// Whether it leads to one place at most.
  bool is_definite() const noexcept;
  /// The path without its last step. REQUIRES: not the root.
  JsonPath parent() const;

  /// What it leads to, the outer before the inner; at most `most`. Throws CommandError if there are more than kMostFound.
  std::vector<Value> find(const Value& root, std::size_t most = std::numeric_limits<std::size_t>::max()) const;
  /// The same as a part of what a command does.
  std::vector<Value> find(const Value& root, std::size_t most, JsonEffort& effort) const;

 private:
  bool legacy_;
  std::string text_, full_text_;
  std::vector<Step> steps_;
};

/// The places that a path leads to within one value, to make another value of it.
///
/// Thread safety: as an int.
class JsonMatches {
 public:
  /// The path has to outlive it. Throws CommandError if there are more than kMostReplaced.
  JsonMatches(const JsonPath& path, Value root);
  JsonMatches(const JsonMatches&) = delete;
  JsonMatches& operator=(const JsonMatches&) = delete;
  ~JsonMatches();

  /// In the order of JsonPath::find.
  const std::vector<Value>& values() const noexcept { return values_; }
  std::size_t size() const noexcept { return values_.size(); }

  /// Which matches are replaced where one lies in another.
  enum class Nested : std::uint8_t { inner_first, outermost };
  using Replace = std::function<std::optional<Value>(std::size_t match, const Value& now)>;
  /// The root with the matches replaced by what `replace` returns; empty takes one away. `now` is the match with the inner ones
  /// replaced already. Empty if the root itself is taken away. Throws Errc::invalid_argument if it nests too deep.
  std::optional<Value> replaced(Nested nested, const Replace& replace) const;

 private:
  friend class JsonWalk;
  struct Place {
    std::size_t index;      // of an element
    std::string_view name;  // of a member
    auto operator<=>(const Place&) const = default;
  };
  struct Node {
    std::map<Place, std::unique_ptr<Node>> children;
    std::vector<std::size_t> matches;
  };
  static std::optional<Value> rebuilt(const Value& value, const Node& node, Nested nested, const Replace& replace);

  Value root_;
  std::vector<Value> values_;
  Node tree_;
};

/// The value at a JSON pointer (RFC 6901).
///
/// Thread safety: as an int.
class JsonPointer {
 public:
  /// Throws CommandError.
  explicit JsonPointer(std::string_view text);
  std::optional<Value> find(const Value& root) const;

 private:
  std::vector<std::string> tokens_;
};

}  // namespace cubby::server
