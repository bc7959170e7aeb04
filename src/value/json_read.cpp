// SPDX-License-Identifier: Apache-2.0

// JSON text to values: RapidJSON's reader finds the tokens and checks the grammar, a Composer takes them. Numbers come as text
// and are converted here, exactly. What RapidJSON gets wrong is put right here:
//  - it takes a lone low surrogate (the handler sees its three bytes, which UTF-8 text can't contain otherwise);
//  - it takes a NUL for the end of the text (afterwards all of the text must have been read);
//  - it refuses some numbers for their spelling (respell_numbers, and a second reading).
// RapidJSON lives in a namespace of its own, so that a program that uses another version of it, or other settings, doesn't get
// ours.

#include <bit>
#include <cstdlib>
#include <cubby/error.hpp>
#include <memory_resource>
#include <new>

#include "value/access.hpp"
#include "value/extended_json.hpp"
#include "value/json_number.hpp"

#define RAPIDJSON_NAMESPACE cubby::detail::rapidjson
#define RAPIDJSON_NAMESPACE_BEGIN namespace cubby::detail::rapidjson {
#define RAPIDJSON_NAMESPACE_END }
#define RAPIDJSON_NO_SIZETYPEDEFINE
RAPIDJSON_NAMESPACE_BEGIN
using SizeType = std::size_t;
RAPIDJSON_NAMESPACE_END
// Its stack, while empty, compares a null pointer plus one with a null pointer, which does no harm but stops a sanitizer.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>
#if defined(__clang__)
#pragma clang attribute pop
#endif

namespace cubby::detail {

namespace {

/// RapidJSON's own allocators give it null pointers, which it then uses.
struct ThrowingAllocator {
  [[maybe_unused]] static constexpr bool kNeedFree = true;
  void* Malloc(std::size_t size) { return size == 0 ? nullptr : checked(std::malloc(size)); }
  void* Realloc(void* old, std::size_t, std::size_t size) {
    if (size != 0) return checked(std::realloc(old, size));
    std::free(old);
    return nullptr;
  }
  static void Free(void* block) { std::free(block); }

 private:
  static void* checked(void* block) {
    if (block == nullptr) throw std::bad_alloc();
    return block;
  }
};

class Input {
 public:
  using Ch = char;
  explicit Input(std::string_view text) : at_(text.data()), begin_(at_), end_(at_ + text.size()) {}

  char Peek() const { return at_ == end_ ? '\0' : *at_; }
  char Take() { return at_ == end_ ? '\0' : *at_++; }
  std::size_t Tell() const { return static_cast<std::size_t>(at_ - begin_); }
  // Of RapidJSON's interface; only used where text is changed in place.
  char* PutBegin() { return nullptr; }
  void Put(char) {}
  void Flush() {}
  std::size_t PutEnd(char*) { return 0; }

 private:
  const char* at_;
  const char* begin_;
  const char* end_;
};

[[noreturn]] void throw_parse(std::size_t offset, const std::string& what) {
  throw Error(Errc::parse, "JSON text, byte " + std::to_string(offset) + ": " + what, offset);
}

/// The first "\uDC00" to "\uDFFF" in the string token ending at `end` that no high surrogate precedes, looked for from its
/// escape sequences; the end if there is none.
std::size_t find_lone_surrogate(std::string_view json, std::size_t begin, std::size_t end) noexcept {
  const auto unit = [&](std::size_t at) { return (json[at + 2] | 0x20) == 'd' ? json[at + 3] | 0x20 : 0; };
  for (std::size_t i = begin; i + 5 < end; ++i) {
    if (json[i] != '\\') continue;
    if (json[i + 1] != 'u') {
      ++i;
      continue;
    }
    const int kind = unit(i);
    if (kind >= 'c' && kind <= 'f') return i;
    i += kind == '8' || kind == '9' || kind == 'a' || kind == 'b' ? 11 : 5;  // a pair, as RapidJSON has seen to
  }
  return end;
}

/// Takes the reader's events. The innermost open container is the last frame; its parts so far are the composer's open items
/// from `first` on.
class Handler {
 public:
  Handler(std::string_view json, const Input& input, int max_depth, const MemberSink* sink)
      : json_(json), input_(input), max_depth_(static_cast<std::size_t>(max_depth)), sink_(sink) {}

  bool Null() { return scalar({}); }
  bool Bool(bool value) { return scalar({value ? node::kTrue : node::kFalse, 0}); }
  bool RawNumber(const char* token, std::size_t size, bool) {
    const std::optional<View> number = read_number({token, size});
    if (!number) throw_parse(input_.Tell() - size, "the number is too large");
    return scalar(*number);
  }
  bool String(const char* text, std::size_t size, bool) {
    check_surrogates({text, size});
    const std::string_view bytes = size <= node::kMaxShortString ? std::string_view(text, size) : keep({text, size});
    return add(Composer::text(node::kString, bytes), input_.Tell());
  }
  bool Key(const char* text, std::size_t size, bool) {
    check_surrogates({text, size});
    frames_.back().name = keep({text, size});
    return true;
  }
  bool StartArray() { return start(false); }
  bool StartObject() { return start(true); }
  bool EndArray(std::size_t) {
    const Frame frame = frames_.back();
    const Composer::Item array = composer_.close_array(frame.first);
    if (nesting(frames_.size()) + height(array) - 1 > max_depth_) throw_too_deep(frame.offset);
    frames_.pop_back();
    return add(array, input_.Tell() + 1);
  }
  bool EndObject(std::size_t) {
    const Frame frame = frames_.back();
    if (sink_ != nullptr && frames_.size() == 1) {
      frames_.pop_back();
      return true;
    }
    Composer::Item object = composer_.close_object(frame.first);
    if (const auto meant = read_form(object)) {
      composer_.discard_last_container();
      object = *meant;
    } else if (nesting(frames_.size()) + height(object) - 1 > max_depth_ && !may_be_in_form(object)) {
      throw_too_deep(frame.offset);
    }
    frames_.pop_back();
    return add(object, input_.Tell() + 1);
  }
  // Numbers come raw; the reader's interface wants these as well.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(std::int64_t) { return false; }
  bool Uint64(std::uint64_t) { return false; }
  bool Double(double) { return false; }

  Value finish() const { return composer_.finish(root_); }

  /// Members handed to the sink so far, and how many the next reading shall pass over.
  std::size_t handed_over() const noexcept { return members_; }
  void pass_over(std::size_t members) noexcept { pass_over_ = members; }

 private:
  using View = node::View;
  struct Frame {
    std::size_t first;
    std::size_t offset;
    std::string_view name;
    bool object;
  };

  bool scalar(const View& words) { return add(Composer::existing(words), input_.Tell()); }

  /// A value that ends at this byte.
  bool add(Composer::Item item, std::size_t end) {
    if (frames_.empty()) {
      if (sink_ != nullptr) throw_parse(0, "an object is expected here");
      root_ = item;
      return true;
    }
    item.name = frames_.back().name;
    if (sink_ != nullptr && frames_.size() == 1) return hand_over(item, end);
    composer_.open().push_back(item);
    return true;
  }

  bool hand_over(const Composer::Item& item, std::size_t end) {
    if (++members_ > pass_over_) (*sink_)(item.name, composer_.finish(item), end);
    composer_.clear();
    bytes_.release();
    return true;
  }

  bool start(bool object) {
    if (sink_ != nullptr && frames_.empty() && !object) throw_parse(input_.Tell(), "an object is expected here");
    frames_.push_back({composer_.open().size(), input_.Tell(), {}, object});
    // Two levels more are fine if they turn out to be the form of a binary.
    if (nesting(frames_.size()) > max_depth_ + (object ? 2 : 0)) throw_too_deep(input_.Tell());
    return true;
  }

  /// How many of so many frames count as nesting.
  std::size_t nesting(std::size_t frames) const noexcept { return sink_ != nullptr ? frames - 1 : frames; }
  std::size_t height(const Composer::Item& item) const noexcept { return static_cast<std::size_t>(composer_.depth(item)); }

  [[noreturn]] void throw_too_deep(std::size_t offset) const {
    throw_parse(offset, "arrays and objects are nested deeper than " + std::to_string(max_depth_) + " levels");
  }

  std::string_view keep(std::string_view text) {
    if (text.empty()) return {};
    auto* const copy = static_cast<char*>(bytes_.allocate(text.size(), 1));
    std::memcpy(copy, text.data(), text.size());
    return {copy, text.size()};
  }

  // A surrogate's bytes are ED A0 80 to ED BF BF. As such the reader refuses them; these come from an escape.
  void check_surrogates(std::string_view text) {
    for (std::size_t i = text.find('\xed'); i != std::string_view::npos; i = text.find('\xed', i + 1)) {
      if (i + 1 >= text.size() || static_cast<unsigned char>(text[i + 1]) < 0xa0) continue;
      const std::size_t end = input_.Tell();
      std::size_t begin = end - 1;  // the closing quote
      while (!is_unescaped_quote(begin - 1)) --begin;
      throw_parse(find_lone_surrogate(json_, begin, end), "a lone surrogate");
    }
  }
  bool is_unescaped_quote(std::size_t at) const noexcept {
    if (json_[at] != '"') return false;
    std::size_t backslashes = 0;
    while (backslashes < at && json_[at - 1 - backslashes] == '\\') ++backslashes;
    return backslashes % 2 == 0;
  }

  /// The bytes of {"base64": ..., "subType": "00"}.
  std::optional<std::string> read_binary(const Composer::Item& object) const {
    if (!Composer::is_closed_object(object)) return std::nullopt;
    const auto members = composer_.children(object);
    if (members.size() != 2 || members[0].name != kBinaryBytes || members[1].name != kBinaryKind) return std::nullopt;
    const auto text = Composer::string_of(members[0]);
    if (!text || Composer::string_of(members[1]) != kGenericKind) return std::nullopt;
    return read_base64(*text);
  }

  bool may_be_in_form(const Composer::Item& object) const {
    if (frames_.size() < 2) return false;
    const Frame& outer = frames_[frames_.size() - 2];
    return outer.object && outer.name == kBinaryForm && read_binary(object).has_value();
  }

  /// The value that the object stands for, if it is an Extended JSON form.
  std::optional<Composer::Item> read_form(const Composer::Item& object) {
    const auto members = composer_.children(object);
    if (members.size() != 1) return std::nullopt;
    if (members[0].name == kRealForm) {
      const auto text = Composer::string_of(members[0]);
      const auto real = text ? read_spelled_real(*text) : std::nullopt;
      if (real) return Composer::Item{node::kReal, std::bit_cast<std::uint64_t>(*real)};
    } else if (members[0].name == kBinaryForm) {
      const Composer::Item inner = members[0];
      if (const auto bytes = read_binary(inner)) {
        return Composer::text(node::kBinary, keep(*bytes));
      }
    }
    return std::nullopt;
  }

  const std::string_view json_;
  const Input& input_;
  const std::size_t max_depth_;
  const MemberSink* const sink_;
  std::byte first_bytes_[1024];
  std::pmr::monotonic_buffer_resource bytes_{first_bytes_, sizeof first_bytes_};  // names and longer strings
  Composer composer_;
  std::vector<Frame> frames_;
  Composer::Item root_;
  std::size_t members_ = 0;
  std::size_t pass_over_ = 0;
};

/// Reads all of the text, or throws; returns false if RapidJSON found a number too large, which `may_respell` asks for.
bool read(std::string_view json, Handler& handler, Input& input, bool may_respell) {
  constexpr unsigned kFlags =
      rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag;
  rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, ThrowingAllocator> reader;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(input, handler);
  if (result.IsError()) {
    if (result.Code() == rapidjson::kParseErrorNumberTooBig && may_respell) return false;
    throw_parse(result.Offset(), rapidjson::GetParseError_En(result.Code()));
  }
  if (input.Tell() != json.size()) throw_parse(input.Tell(), "text goes on behind the value");
  return true;
}

Value read_json(std::string_view json, int max_depth, const MemberSink* sink) {
  if (json.data() == nullptr) json = "";
  std::size_t handed_over = 0;
  {
    Input input(json);
    Handler handler(json, input, max_depth, sink);
    if (read(json, handler, input, true)) return sink != nullptr ? Value() : handler.finish();
    handed_over = handler.handed_over();
  }
  std::string respelled(json);
  respell_numbers(respelled);
  Input input(respelled);
  Handler handler(respelled, input, max_depth, sink);
  handler.pass_over(handed_over);
  read(respelled, handler, input, false);
  return sink != nullptr ? Value() : handler.finish();
}

}  // namespace

Value parse_json(std::string_view json, int max_depth) { return read_json(json, max_depth, nullptr); }

void parse_json_object(std::string_view json, const MemberSink& member) { read_json(json, node::kMaxDepth, &member); }

}  // namespace cubby::detail
