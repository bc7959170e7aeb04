// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>

namespace cubby::server {

/// Who may be connected by HTTP: so many at once, and of one address, as network_of() has it, but a part of them. This
/// machine's own are not counted by address: a proxy may stand before everybody. When all places are taken there are some left
/// for who only asks how the server is, and as many for those of this machine: so neither crowds nor idlers keep a supervisor
/// from it.
///
/// Thread safety: as an int. Outlives its slots.
class HttpSlots {
 public:
  enum class Kind {
    any,      ///< whatever it asks for
    health,   ///< /healthz, once
    refused,  ///< is told that there are too many
    none,     ///< isn't even told
  };
  static constexpr std::size_t kSpare = 8, kSpareOfAddress = 2;

  HttpSlots(std::size_t most, std::size_t most_of_address) : most_(most), most_of_address_(most_of_address) {}
  HttpSlots(const HttpSlots&) = delete;
  HttpSlots& operator=(const HttpSlots&) = delete;

  /// One connection's place, which it gives back.
  class Slot {
   public:
    Slot(Slot&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)), kind_(other.kind_), address_(std::move(other.address_)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (slots_ != nullptr) slots_->leave(kind_, address_);
    }
    Kind kind() const noexcept { return kind_; }

   private:
    friend class HttpSlots;
    Slot(HttpSlots& slots, Kind kind, std::string address) : slots_(&slots), kind_(kind), address_(std::move(address)) {}

    HttpSlots* slots_;
    Kind kind_;
    std::string address_;
  };
  /// `address`: of network_of(); empty for this machine.
  Slot take(std::string address);

 private:
  struct Places {
    std::size_t any = 0, health = 0;
  };
  Kind kind_for(const std::string& address) const;
  void leave(Kind kind, const std::string& address);

  const std::size_t most_, most_of_address_;
  std::size_t any_ = 0, health_ = 0, refused_ = 0;  ///< `health_` of other machines
  std::map<std::string, Places> places_;
};

}  // namespace cubby::server
