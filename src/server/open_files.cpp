// SPDX-License-Identifier: Apache-2.0
#include "server/open_files.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace cubby::server {

namespace {

/// For the files of sixteen durable stores, doors, threads, and HTTP.
constexpr ::rlim_t kOwnFiles = 256;

}  // namespace

std::size_t make_room_for_clients(std::size_t clients) {
  ::rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return clients;
  const ::rlim_t wanted = static_cast<::rlim_t>(clients) + kOwnFiles;
  if (limit.rlim_cur < wanted) {
    // Who is privileged may raise the hard limit too.
    const ::rlimit more{wanted, std::max(wanted, limit.rlim_max)};
    const ::rlimit allowed{std::min(wanted, limit.rlim_max), limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &more) != 0) ::setrlimit(RLIMIT_NOFILE, &allowed);
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return clients;
  }
  return limit.rlim_cur <= kOwnFiles ? 0 : std::min(clients, static_cast<std::size_t>(limit.rlim_cur - kOwnFiles));
}

}  // namespace cubby::server
