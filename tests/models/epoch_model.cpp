// SPDX-License-Identifier: Apache-2.0
// EpochDomain: a reader never meets an object that has been freed, and everything is freed in the end.

#include <memory>

#include "base/epoch.hpp"
#include "models/model.hpp"

namespace cubby::models {
namespace {

/// Two objects that are replaced and read, each at a place of its own.
template <class Policy>
struct EpochSuite : rl::test_suite<EpochSuite<Policy>, 3> {
  using Domain = detail::EpochDomain<Policy>;
  using Participant = typename Domain::Participant;
  using Place = detail::Place;

  struct Object {
    Plain<int> value{1};
    ~Object() { value.set(0); }  // a race with a reader that has not left
  };

  EpochSuite() {
    domain->link(participants[0]);
    domain->link(participants[1]);
    for (auto& each : shared) each.store(new Object, std::memory_order_release);
  }

  /// The object is kept from being freed by those at `kept_at`.
  void replace(Participant& self, Place place, Place kept_at) {
    domain->enter(self, place);
    Object* old = shared[place - 1].exchange(new Object, std::memory_order_acq_rel);
    domain->retire(
        self, old, [](void* object) { delete static_cast<Object*>(object); }, sizeof(Object), kept_at);
    domain->leave(self);
  }
  void see(Place place) { require(shared[place - 1].load(std::memory_order_acquire)->value.get() == 1, "read a freed object"); }
  void read(Participant& self, Place place) {
    domain->enter(self, place);
    see(place);
    domain->leave(self);
  }

  void thread(unsigned index) {
    Participant& self = participants[index];
    if (index == 0) {
      replace(self, 1, 1);
      domain->hand_over(self, true);
      replace(self, 2, detail::kSomewhere);
      domain->hand_over(self, true);
    } else if (index == 1) {
      read(self, 2);
      domain->enter(self, detail::kNowhere);
      read(self, 1);  // nested, from nowhere
      domain->leave(self);
      domain->enter(self, 2);
      read(self, 1);  // nested, at another place
      see(2);
      domain->leave(self);
    } else {
      domain->link(self);  // a thread that comes later
      domain->enter(self);
      see(1);
      see(2);
      domain->leave(self);
      replace(self, 2, 2);
      domain->hand_over(self, false);
      domain->hand_over(self, true);
    }
  }

  void after() {
    for (Participant& each : participants) domain->hand_over(each, true);
    require(!domain->pending(), "something is never freed");
    // The others are Relacy's leak check's.
    for (auto& each : shared) delete each.load(std::memory_order_relaxed);
  }

  std::unique_ptr<Domain> domain = std::make_unique<Domain>();
  typename Policy::template Atomic<Object*> shared[2]{};
  Participant participants[3];
};

CUBBY_RELAXED(enter);
CUBBY_RELAXED(leave);
CUBBY_RELAXED(advance);
CUBBY_RELAXED(look);

/// Takes who entered at the round's epoch for one that came after it.
struct OneTooLate : Faithful {
  template <class T>
  static T loaded(std::string_view function, T value) {
    if constexpr (std::is_same_v<T, std::uint64_t>) return function == "look" && value != 0 ? value + 1 : value;
    return value;
  }
};

/// Takes everybody to be at place 1.
struct WrongPlace : Faithful {
  template <class T>
  static T loaded(std::string_view function, T value) {
    if constexpr (std::is_same_v<T, detail::Place>) return function == "look" ? 1 : value;
    return value;
  }
};

}  // namespace
}  // namespace cubby::models

int main(int count, char** arguments) {
  using namespace cubby::models;
  Runner runner(count, arguments);
  runner.holds<EpochSuite<RelacyAtomics<>>>("fences on both sides", 60000);
  runner.holds<EpochSuite<AsymmetricAtomics<>>>("fence on the reclaimer's side", 60000);

  runner.is_found<EpochSuite<RelacyAtomics<Unfenced>>>("enter without a fence", 200000);
  runner.is_found<EpochSuite<AsymmetricAtomics<Unfenced>>>("collect without a fence", 200000);
  runner.is_found<EpochSuite<RelacyAtomics<Relaxed_enter>>>("enter relaxed", 200000);
  runner.is_found<EpochSuite<RelacyAtomics<Relaxed_leave>>>("leave relaxed", 200000);
  runner.is_found<EpochSuite<AsymmetricAtomics<Relaxed_advance>>>("advance relaxed", 200000);
  runner.is_found<EpochSuite<AsymmetricAtomics<Relaxed_look>>>("look relaxed", 200000);
  runner.is_found<EpochSuite<RelacyAtomics<OneTooLate>>>("an epoch too late", 200000);
  runner.is_found<EpochSuite<RelacyAtomics<WrongPlace>>>("the wrong place", 200000);
  return runner.exit_code();
}
