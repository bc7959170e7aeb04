// SPDX-License-Identifier: Apache-2.0

// Requests of clients: whatever the bytes, they are understood the same however they are cut, and nothing outside of them is
// read. The first byte chooses the limits, the second the cuts.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "server/request_parser.hpp"

namespace {

using cubby::server::RequestParser;

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

RequestParser::Limits limits_of(std::uint8_t choice) {
  switch (choice % 3) {
    case 0:
      return {};
    case 1:
      return RequestParser::unauthenticated();
    default:
      return {.bulk = 20, .arguments = 5, .line = 24, .request = 60};
  }
}

struct Stream {
  std::vector<std::vector<std::string>> requests;
  std::string error;
  std::size_t rest = 0;

  bool operator==(const Stream&) const = default;
};

/// `next_end(begin)` says where the next piece ends.
template <class F>
Stream parse(std::string_view bytes, const RequestParser::Limits& limits, F&& next_end) {
  RequestParser parser;
  Stream stream;
  std::vector<std::string_view> arguments;
  std::size_t begin = 0;  // of the request
  for (std::size_t end = 0; end != bytes.size();) {
    end = next_end(end);
    for (;;) {
      // In a block of its own, so that AddressSanitizer sees who reads behind it.
      const std::vector<char> received(bytes.data() + begin, bytes.data() + end);
      const std::string_view view(received.data(), received.size());
      std::size_t used = 0;
      const auto result = parser.next(view, limits, used, arguments);
      if (result == RequestParser::Result::error) {
        check(!parser.error().empty(), "an error has a text");
        stream.error = parser.error();
        return stream;
      }
      if (result == RequestParser::Result::incomplete) {
        check(parser.wanted() == 0 || parser.wanted() > view.size(), "what is wanted is more than there is");
        break;
      }
      check(used != 0 && used <= view.size(), "a request lies in the bytes");
      check(arguments.size() <= limits.arguments || view.front() != '*', "there are as many arguments as there may be");
      stream.requests.emplace_back(arguments.begin(), arguments.end());
      begin += used;
    }
  }
  stream.rest = bytes.size() - begin;
  return stream;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 4096) return 0;
  const RequestParser::Limits limits = limits_of(data[0]);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Stream whole = parse(bytes, limits, [&](std::size_t) { return bytes.size(); });
  std::minstd_rand random(data[1] + 1U);
  const std::size_t longest = data[1] % 7 == 0 ? 1 : 1 + random() % 40;
  const Stream cut =
      parse(bytes, limits, [&](std::size_t begin) { return begin + std::min(1 + random() % longest, bytes.size() - begin); });
  check(cut == whole, "cuts don't matter");
  return 0;
}
