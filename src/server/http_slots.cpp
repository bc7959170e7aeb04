// SPDX-License-Identifier: Apache-2.0
#include "server/http_slots.hpp"

namespace cubby::server {

HttpSlots::Kind HttpSlots::kind_for(const std::string& address) const {
  const auto found = places_.find(address);
  const Places own = found == places_.end() ? Places() : found->second;
  const Kind refused = refused_ < most_ ? Kind::refused : Kind::none;
  if (address.empty()) return any_ < most_ ? Kind::any : own.health < kSpare ? Kind::health : refused;
  if (own.any >= most_of_address_) return refused;
  if (any_ < most_) return Kind::any;
  return health_ < kSpare && own.health < kSpareOfAddress ? Kind::health : refused;
}

HttpSlots::Slot HttpSlots::take(std::string address) {
  const Kind kind = kind_for(address);
  switch (kind) {
    case Kind::any:
      ++places_[address].any;
      ++any_;
      break;
    case Kind::health:
      ++places_[address].health;
      if (!address.empty()) ++health_;
      break;
    case Kind::refused:
      ++refused_;
      break;
    case Kind::none:
      break;
  }
  return Slot(*this, kind, std::move(address));
}

void HttpSlots::leave(Kind kind, const std::string& address) {
  if (kind == Kind::refused) --refused_;
  if (kind != Kind::any && kind != Kind::health) return;
  const auto found = places_.find(address);
  if (kind == Kind::any) {
    --any_;
    --found->second.any;
  } else {
    if (!address.empty()) --health_;
    --found->second.health;
  }
  if (found->second.any + found->second.health == 0) places_.erase(found);
}

}  // namespace cubby::server
