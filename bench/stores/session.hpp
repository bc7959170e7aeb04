// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace bench {

/// What the peers keep for a user: six fields. Shared and never changed, so that a reader copies a pointer, not the fields.
struct Session {
  std::string user;
  std::string name;
  std::string room;
  std::int64_t unread = 0;
  std::int64_t seen = 0;
  std::string token;
};

using SessionPointer = std::shared_ptr<const Session>;

}  // namespace bench
